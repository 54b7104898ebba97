/** An incoming offer: who, from which queue, how long there is to answer. */

import { Button, Group, Kbd, Progress, Stack, Text, Title } from "@mantine/core";
import { Phone, PhoneIncoming, PhoneOff } from "lucide-react";
import { useEffect, useRef } from "react";
import type { Offer } from "../api/desk";
import { clock, spoken } from "../ui/format";
import { useKeys } from "../ui/keys";
import { KEYS, useDesk, useDeskView, useSecondsSince } from "./hooks";

export function OfferPanel({ offer }: { offer: Offer }) {
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const left = Math.max(0, -useSecondsSince(offer.deadline));
  // The whole time that we know of; exact for an offer that this page saw from its start.
  const whole = useRef(Math.max(1, left));
  const answer = useRef<HTMLButtonElement>(null);
  useEffect(() => answer.current?.focus(), []);

  const accept = () => void desk.command("accept", { offer: offer.id });
  const decline = () => void desk.command("decline", { offer: offer.id, reason: "declined" });
  useKeys((key) => {
    if (key !== KEYS.answer && key !== KEYS.decline) return false;
    if (link === "open" && !busy.has("accept") && !busy.has("decline")) (key === KEYS.answer ? accept : decline)();
    return true;
  });

  return (
    <section className="panel desk-work" aria-label="Incoming call" data-testid="offer">
      <div className="desk-centre">
        <div className="offer-mark">
          <PhoneIncoming size={28} aria-hidden />
        </div>
        <Stack gap={2} align="center">
          <Text c="dimmed">Incoming call</Text>
          <Title order={2} className="number" data-testid="offer-number">
            {offer.ani ?? "Number withheld"}
          </Title>
          <Text size="lg">
            <strong>{offer.queue_name}</strong>, waited <span className="figures">{clock(offer.waited)}</span>
          </Text>
        </Stack>
        <Group justify="center" mt="sm">
          <Button
            ref={answer}
            size="lg"
            color="green"
            leftSection={<Phone size={20} aria-hidden />}
            rightSection={<Kbd aria-hidden>{KEYS.answer}</Kbd>}
            loading={busy.has("accept")}
            disabled={link !== "open" || busy.has("decline")}
            onClick={accept}
            aria-keyshortcuts={KEYS.answer}
            data-testid="offer-answer"
          >
            Answer
          </Button>
          <Button
            size="lg"
            variant="default"
            leftSection={<PhoneOff size={20} aria-hidden />}
            rightSection={<Kbd aria-hidden>{KEYS.decline}</Kbd>}
            loading={busy.has("decline")}
            disabled={link !== "open" || busy.has("accept")}
            onClick={decline}
            aria-keyshortcuts={KEYS.decline}
            data-testid="offer-decline"
          >
            Decline
          </Button>
        </Group>
        <Stack gap={6} w="min(320px, 100%)" mt="sm">
          <Progress
            value={Math.min(100, (100 * left) / whole.current)}
            color={left <= 5 ? "red" : "green"}
            transitionDuration={250}
            aria-hidden
          />
          <Text size="sm" c="dimmed" className="figures" role="timer" aria-label={`${spoken(left)} left to answer`}>
            {Math.ceil(left)} s left to answer
          </Text>
        </Stack>
      </div>
    </section>
  );
}
