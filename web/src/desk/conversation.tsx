/** One written conversation: what was said, a place to write, and what can be done with it. */

import { Button, Group, Select, Stack, Text, Textarea, Title } from "@mantine/core";
import { Check, CirclePause, Play, Send, X } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { Conversation, WrapUp } from "../api/desk";
import { clock, spoken } from "../ui/format";
import { useDesk, useDeskView, useSecondsSince } from "./hooks";
import { useMessages } from "./messages";
import { customerName } from "./words";

const LONGEST = 4000;

export function ConversationPanel({ chat }: { chat: Conversation }) {
  return (
    <Stack gap="sm">
      <Head chat={chat} />
      <Said chat={chat} />
      {chat.wrap_up === null ? <Writer chat={chat} /> : <Closing chat={chat} wrapUp={chat.wrap_up} />}
    </Stack>
  );
}

function Head({ chat }: { chat: Conversation }) {
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const seconds = useSecondsSince(chat.since);
  const facts = Object.entries(chat.cad);
  const parked = chat.state === "parked";
  return (
    <>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div>
          <Title order={2} size="h4" data-testid="chat-customer">
            {customerName(chat)}
          </Title>
          <Text size="sm" c="dimmed">
            {chat.name && chat.customer && `${chat.customer}, `}
            {chat.queue_name}
            {chat.state !== "wrap-up" && (
              <>
                , <span className="figures">{clock(seconds)}</span> {parked ? "parked" : ""}
              </>
            )}
          </Text>
        </div>
        {chat.state !== "wrap-up" && (
          <Group gap="xs" wrap="nowrap">
            <Button
              variant="default"
              size="sm"
              leftSection={parked ? <Play size={16} aria-hidden /> : <CirclePause size={16} aria-hidden />}
              loading={busy.has("park") || busy.has("resume")}
              disabled={link !== "open"}
              onClick={() => void desk.command(parked ? "resume" : "park", { contact: chat.contact })}
              data-testid="chat-park"
            >
              {parked ? "Resume" : "Park"}
            </Button>
            <Button
              color="red"
              variant="light"
              size="sm"
              leftSection={<X size={16} aria-hidden />}
              loading={busy.has("end")}
              disabled={link !== "open"}
              onClick={() => void desk.command("end", { contact: chat.contact })}
              data-testid="chat-end"
            >
              End
            </Button>
          </Group>
        )}
      </Group>
      {facts.length > 0 && (
        <dl className="facts chat-facts">
          {facts.map(([name, value]) => (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{String(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </>
  );
}

const time = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

function Said({ chat }: { chat: Conversation }) {
  const messages = useMessages(chat.contact, chat.messages);
  const end = useRef<HTMLDivElement>(null);
  const newest = messages.at(-1)?.number ?? 0;
  useEffect(() => {
    if (newest > 0) end.current?.scrollIntoView({ block: "nearest" });
  }, [newest]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who uses the keyboard must be able to scroll it
    <div className="said" role="log" aria-label={`Messages with ${customerName(chat)}`} tabIndex={0}>
      {messages.length === 0 && (
        <Text size="sm" c="dimmed" ta="center" py="lg">
          {chat.messages === 0 ? "Nothing was written yet." : "Loading …"}
        </Text>
      )}
      {messages.map((message) => (
        <div key={message.number} className="message" data-author={message.author} data-testid="message">
          <div className="message-head">
            {message.author === "customer" ? customerName(chat) : message.author === "agent" ? "You" : "System"}
            <time dateTime={message.at}>{time.format(new Date(message.at))}</time>
          </div>
          <div className="message-text">{message.text}</div>
        </div>
      ))}
      <div ref={end} />
    </div>
  );
}

function Writer({ chat }: { chat: Conversation }) {
  const desk = useDesk();
  const { link } = useDeskView();
  const [text, setText] = useState("");
  const [sending, setSending] = useState(false);
  // The same as long as it is the same message: one whose reply was lost is not written twice.
  const key = useRef("");
  const parked = chat.state === "parked";

  const change = (words: string) => {
    key.current = "";
    setText(words);
  };
  const send = async (event: FormEvent | KeyboardEvent) => {
    event.preventDefault();
    const words = text.trim();
    if (!words || sending || link !== "open" || parked) return;
    key.current ||= crypto.getRandomValues(new Uint32Array(4)).join("-");
    setSending(true);
    if (await desk.command("send", { contact: chat.contact, text: words, key: key.current })) change("");
    setSending(false);
  };
  return (
    <form onSubmit={send}>
      <Group gap="xs" wrap="nowrap" align="flex-end">
        <Textarea
          flex={1}
          autosize
          minRows={2}
          maxRows={6}
          maxLength={LONGEST}
          value={text}
          disabled={parked}
          placeholder={parked ? "Resume the conversation to write." : "Write a message"}
          aria-label={`Message to ${customerName(chat)}`}
          onChange={(event) => change(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) void send(event);
          }}
          data-testid="chat-text"
        />
        <Button
          type="submit"
          leftSection={<Send size={16} aria-hidden />}
          loading={sending}
          disabled={link !== "open" || parked || !text.trim()}
          data-testid="chat-send"
        >
          Send
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        Enter sends, Shift and Enter begin a new line.
      </Text>
    </form>
  );
}

/** After the conversation: what was it about? */
function Closing({ chat, wrapUp }: { chat: Conversation; wrapUp: WrapUp }) {
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const left = Math.max(0, -useSecondsSince(wrapUp.deadline ?? 0));
  const [code, setCode] = useState<string | null>(null);
  const done = (event: FormEvent) => {
    event.preventDefault();
    void desk.command("wrap_up", { code: code ?? "", contact: chat.contact });
  };
  return (
    <form onSubmit={done} data-testid="chat-wrapup">
      <Group gap="xs" align="flex-end">
        <Select
          label="The conversation is over. What was it about?"
          flex="1 1 220px"
          data={wrapUp.codes.map((choice) => ({ value: choice.code, label: choice.name }))}
          value={code}
          onChange={setCode}
          placeholder="Choose"
          allowDeselect={false}
          data-testid="chat-code"
        />
        <Button
          type="submit"
          leftSection={<Check size={16} aria-hidden />}
          loading={busy.has("wrap_up")}
          disabled={link !== "open" || (code === null && wrapUp.codes.length > 0)}
          data-testid="chat-done"
        >
          Done
        </Button>
      </Group>
      {wrapUp.deadline !== null && (
        <Text
          size="sm"
          c="dimmed"
          mt={6}
          className="figures"
          role="timer"
          aria-label={`${spoken(left)} of wrap-up left`}
        >
          {clock(left)} left, then it closes without a code.
        </Text>
      )}
    </form>
  );
}
