"""The statements by which the figures and the rows behind them are stored: many rows at once, and again without harm."""

from __future__ import annotations

from collections.abc import Sequence

from acd.figures.measures import VisitFigures, WorkFigures


def _upsert(table: str, keys: Sequence[str], values: Sequence[str]) -> str:
    columns = ["start", *keys, *values]
    types = ["bigint[]", *["text[]"] * len(keys), *["bigint[]"] * len(values)]
    given = ", ".join(f"${n}::{kind}" for n, kind in enumerate(types, 1))
    new = ", ".join(f"{name} = excluded.{name}" for name in values)
    old, other = (", ".join(f"{side}.{name}" for name in values) for side in (table, "excluded"))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT to_timestamp(u.start), {', '.join('u.' + c for c in columns[1:])}"  # noqa: S608  our own names
        f" FROM unnest({given}) AS u({', '.join(columns)})"
        f" ON CONFLICT (start, {', '.join(keys)}) DO UPDATE SET {new} WHERE ({old}) IS DISTINCT FROM ({other})"
    )


VISIT_FIELDS = VisitFigures.__struct_fields__
WORK_FIELDS = WorkFigures.__struct_fields__
STATEMENTS = {
    "figure_visits": _upsert("figure_visits", ("queue", "channel", "kind"), VISIT_FIELDS),
    "figure_ends": _upsert("figure_ends", ("queue", "channel", "kind", "how", "reason"), ("count",)),
    "figure_work": _upsert("figure_work", ("agent", "queue", "channel", "kind"), WORK_FIELDS),
    "figure_states": _upsert("figure_states", ("agent", "state", "code"), ("ms",)),
    "figure_watermark": """
        INSERT INTO figure_watermark (at) VALUES (to_timestamp($1::bigint / 1000.0))
        ON CONFLICT (single) DO UPDATE SET at = greatest(figure_watermark.at, excluded.at)""",
    "visit_rows": """
    INSERT INTO visits (id, contact, queue, channel, kind, queued, ended, how, waited, talked, within, reason, answered)
    SELECT id, contact, queue, channel, kind, to_timestamp(queued / 1000.0), to_timestamp(ended / 1000.0), how, waited, talked,
        within, reason, to_timestamp(answered / 1000.0)
    FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
        $9::double precision[], $10::double precision[], $11::boolean[], $12::text[], $13::bigint[])
        AS u(id, contact, queue, channel, kind, queued, ended, how, waited, talked, within, reason, answered)
    ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, how = excluded.how, waited = excluded.waited,
        talked = excluded.talked, within = excluded.within, reason = excluded.reason, answered = excluded.answered
    WHERE excluded.ended IS NOT NULL AND visits.ended IS NULL""",
    "offer_rows": """
    INSERT INTO offers (id, contact, visit, agent, queue, channel, kind, made)
    SELECT id, contact, visit, agent, queue, channel, kind, to_timestamp(made / 1000.0)
    FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[])
        AS u(id, contact, visit, agent, queue, channel, kind, made)
    ON CONFLICT (id) DO NOTHING""",
    "offer_ends": """
    UPDATE offers SET ended = to_timestamp(u.ended / 1000.0), how = u.how, why = u.why, reason = u.reason
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) AS u(id, ended, how, why, reason)
    WHERE offers.id = u.id AND offers.ended IS NULL""",
}
