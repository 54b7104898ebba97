"""What a listener would say of a leg: the E-model's rating and MOS (ITU-T G.107, codec figures of G.113 Appendix I)."""

from __future__ import annotations

_IMPAIRMENT = {"PCMU": (0.0, 25.1), "PCMA": (0.0, 25.1), "G722": (0.0, 25.1), "OPUS": (0.0, 30.0)}
"""Codec: Ie, and Bpl with packet loss concealment. Opus has no figure in G.113: its FEC is rated a little above G.711."""


def rating(codec: str, *, loss: float, delay_ms: float) -> float:
    """R: 0 to 93.2, of random loss (0 to 1) and one-way delay."""
    impairment, robustness = _IMPAIRMENT.get(codec.upper(), (10.0, 20.0))
    percent = max(0.0, min(1.0, loss)) * 100
    equipment = impairment + (95 - impairment) * percent / (percent + robustness)
    # The usual short form of G.107's delay impairment, good to 400 ms.
    delayed = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0.0)
    return max(0.0, 93.2 - delayed - equipment)


def mos(codec: str, *, loss: float, delay_ms: float) -> float:
    """Mean opinion score, 1 to 4.4."""
    r = rating(codec, loss=loss, delay_ms=delay_ms)
    return max(1.0, min(4.5, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))
