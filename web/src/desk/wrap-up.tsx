/** After the call: what was it about? */

import { Button, Group, Radio, Stack, Text, Title } from "@mantine/core";
import { Check } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { DeskContact, WrapUp } from "../api/desk";
import { clock, spoken } from "../ui/format";
import { useDesk, useDeskView, useSecondsSince } from "./hooks";

export function WrapUpPanel({ wrapUp, contact }: { wrapUp: WrapUp; contact: DeskContact | null }) {
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const left = Math.max(0, -useSecondsSince(wrapUp.deadline ?? 0));
  const limited = wrapUp.deadline !== null;
  const [code, setCode] = useState<string | null>(null);
  const group = useRef<HTMLDivElement>(null);
  useEffect(() => group.current?.querySelector<HTMLElement>("[role=radio]")?.focus(), []);

  const done = (event: FormEvent | KeyboardEvent) => {
    event.preventDefault();
    if (code !== null || wrapUp.codes.length === 0)
      void desk.command("wrap_up", { code: code ?? "", contact: wrapUp.contact });
  };

  return (
    <section className="panel desk-work" aria-label="Wrap-up" data-testid="wrapup">
      <form onSubmit={done}>
        <Stack gap="md" maw={520} mx="auto" py="md">
          <Group justify="space-between" align="baseline">
            <Title order={2} size="h3">
              What was it about?
            </Title>
            {limited && (
              <Text
                className="figures"
                c={left <= 10 ? "var(--mantine-color-error)" : "dimmed"}
                role="timer"
                aria-label={`${spoken(left)} of wrap-up left`}
              >
                {clock(left)} left
              </Text>
            )}
          </Group>
          {contact !== null && (
            <Text c="dimmed">
              {contact.ani ?? "Number withheld"}
              {contact.queue_name && `, ${contact.queue_name}`}
            </Text>
          )}
          <Radio.Group value={code} onChange={setCode} aria-label="Wrap-up code" ref={group}>
            <Stack gap="xs">
              {wrapUp.codes.map((choice) => (
                <Radio.Card
                  key={choice.code}
                  value={choice.code}
                  className="code-card"
                  onKeyDown={(event) => {
                    // Space or an arrow key chooses, Enter on the chosen one is "Done".
                    if (event.key === "Enter" && choice.code === code) done(event);
                  }}
                  data-testid={`wrapup-code-${choice.code}`}
                >
                  <Radio.Indicator />
                  <Text>{choice.name}</Text>
                </Radio.Card>
              ))}
            </Stack>
          </Radio.Group>
          <Group justify="space-between" wrap="nowrap">
            <Text size="sm" c="dimmed">
              {limited && "When the time is over, the contact closes without a code."}
            </Text>
            {limited && wrapUp.extensions > 0 && (
              <Button
                variant="default"
                size="md"
                flex="none"
                loading={busy.has("extend")}
                disabled={link !== "open"}
                onClick={() => void desk.command("extend", { contact: wrapUp.contact })}
                data-testid="wrapup-extend"
              >
                More time
              </Button>
            )}
            <Button
              type="submit"
              size="md"
              flex="none"
              leftSection={<Check size={18} aria-hidden />}
              loading={busy.has("wrap_up")}
              disabled={link !== "open" || (code === null && wrapUp.codes.length > 0)}
              data-testid="wrapup-done"
            >
              Done
            </Button>
          </Group>
        </Stack>
      </form>
    </section>
  );
}
