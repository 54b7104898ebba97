/** The desk between two contacts. */

import { Button, Text, Title } from "@mantine/core";
import { Coffee, HeadphoneOff, Headphones, type LucideIcon, PhoneMissed } from "lucide-react";
import type { AgentState, DeskAgent } from "../api/desk";
import { useDesk, useDeskView } from "./hooks";
import { softphoneWords } from "./words";

interface Words {
  icon: LucideIcon;
  title: string;
  text: string;
  button: boolean;
}

const READY: Words = {
  icon: Headphones,
  title: "Waiting for the next contact",
  text: "It rings here, also when another tab is in front.",
  button: false,
};

const DEAF: Words = {
  icon: HeadphoneOff,
  title: "No calls are offered to you yet",
  text: "They come as soon as your softphone is ready.",
  button: false,
};

const WORDS: Partial<Record<AgentState, Words>> = {
  available: READY,
  idle: { icon: Coffee, title: "You are idle", text: "Nothing is offered to you in this state.", button: true },
  "not-responding": {
    icon: PhoneMissed,
    title: "The last offer was not answered",
    text: "The caller went back to the front of the queue. Nothing is offered until you are available again.",
    button: true,
  },
  "logged-out": {
    icon: Coffee,
    title: "You are logged out of the queues",
    text: "Set yourself available to be offered contacts.",
    button: true,
  },
};

export function WaitingPanel({ agent }: { agent: DeskAgent }) {
  const desk = useDesk();
  const view = useDeskView();
  const { link, busy } = view;
  const { state: softphone } = softphoneWords(view);
  const {
    icon: Icon,
    title,
    text,
    button,
  } = agent.state === "available" && softphone === "none"
    ? DEAF
    : (WORDS[agent.state] ?? {
        ...READY,
        title: "One moment …",
        text: "The exchange is finishing the last step.",
      });
  return (
    <section className="panel desk-work" aria-label="Work">
      <div className="desk-centre">
        <Icon size={44} strokeWidth={1.4} color="var(--mantine-color-dimmed)" aria-hidden />
        <Title order={2} size="h3">
          {title}
        </Title>
        <Text c="dimmed" maw={420}>
          {text}
        </Text>
        {button && (
          <Button
            color="green"
            size="md"
            loading={busy.has("set_state")}
            disabled={link !== "open"}
            onClick={() => void desk.command("set_state", { state: "available" })}
          >
            Become available
          </Button>
        )}
      </div>
    </section>
  );
}
