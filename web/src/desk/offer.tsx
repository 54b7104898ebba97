/** An incoming offer: who, from which queue, how long there is to answer. */

import { Button, Group, Kbd, Progress, Stack, Text, Title } from "@mantine/core";
import { Check, MessageSquare, Phone, PhoneIncoming, PhoneOff, X } from "lucide-react";
import { useEffect, useRef } from "react";
import type { Offer } from "../api/desk";
import { clock, spoken } from "../ui/format";
import { useKeys } from "../ui/keys";
import { KEYS, useDesk, useDeskView, useSecondsSince } from "./hooks";
import { callerName } from "./words";

/** `quiet`: the agent may be writing to somebody, whose words are not to become an answer. */
export function OfferPanel({ offer, quiet = false }: { offer: Offer; quiet?: boolean }) {
  const written = offer.channel !== "voice";
  const what = written ? "Incoming chat" : offer.callback ? "Callback" : "Incoming call";
  const Icon = written ? MessageSquare : PhoneIncoming;
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const left = Math.max(0, -useSecondsSince(offer.deadline));
  // The whole time that we know of; exact for an offer that this page saw from its start.
  const whole = useRef(Math.max(1, left));
  const answer = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!quiet) answer.current?.focus();
  }, [quiet]);

  const accept = () => void desk.command("accept", { offer: offer.id });
  const decline = () => void desk.command("decline", { offer: offer.id, reason: "declined" });
  useKeys((key) => {
    if (key !== KEYS.answer && key !== KEYS.decline) return false;
    if (link === "open" && !busy.has("accept") && !busy.has("decline")) (key === KEYS.answer ? accept : decline)();
    return true;
  });

  return (
    <section className="panel desk-work" aria-label={what} data-testid="offer">
      <div className="desk-centre">
        <div className="offer-mark">
          <Icon size={28} aria-hidden />
        </div>
        <Stack gap={2} align="center">
          <Text c="dimmed">{offer.callback ? "Callback" : what}</Text>
          <Title order={2} className="number" data-testid="offer-number">
            {offer.callback ? `Callback: ${offer.number}` : callerName(offer)}
          </Title>
          <Text size="lg">
            <strong>{offer.queue_name}</strong>, waited <span className="figures">{clock(offer.waited)}</span>
          </Text>
          {offer.callback && offer.tries > 0 && (
            <Text size="sm" c="dimmed" data-testid="offer-tries">
              dialled {offer.tries === 1 ? "once" : `${offer.tries} times`} without an answer
            </Text>
          )}
        </Stack>
        <Group justify="center" mt="sm">
          <Button
            ref={answer}
            size="lg"
            color="green"
            leftSection={written ? <Check size={20} aria-hidden /> : <Phone size={20} aria-hidden />}
            rightSection={<Kbd aria-hidden>{KEYS.answer}</Kbd>}
            loading={busy.has("accept")}
            disabled={link !== "open" || busy.has("decline")}
            onClick={accept}
            aria-keyshortcuts={KEYS.answer}
            data-testid="offer-answer"
          >
            {written ? "Accept" : "Answer"}
          </Button>
          <Button
            size="lg"
            variant="default"
            leftSection={written ? <X size={20} aria-hidden /> : <PhoneOff size={20} aria-hidden />}
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
