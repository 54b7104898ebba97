/** The messages of one conversation: asked for whenever the desk says that there are more. */

import { useEffect, useState } from "react";
import type { Message } from "../api/desk";
import { useDesk, useDeskView } from "./hooks";

const AGAIN_MS = 2_000;

/** What follows what was known, in order and each once. */
export function joined(known: Message[], more: Message[]): Message[] {
  const last = known.at(-1)?.number ?? 0;
  const fresh = more.filter((message) => message.number > last).sort((a, b) => a.number - b.number);
  return fresh.length > 0 ? [...known, ...fresh] : known;
}

export function useMessages(contact: string, count: number): Message[] {
  const desk = useDesk();
  const { link } = useDeskView();
  const [messages, setMessages] = useState<Message[]>([]);
  const [tries, setTries] = useState(0);
  const known = messages.at(-1)?.number ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `tries` asks again
  useEffect(() => {
    if (known >= count || link !== "open") return;
    let over = false;
    let again: ReturnType<typeof setTimeout> | undefined;
    desk.messages(contact, known).then(
      (more) => {
        if (!over) setMessages((before) => joined(before, more));
      },
      () => {
        if (!over) again = setTimeout(() => setTries((before) => before + 1), AGAIN_MS);
      },
    );
    return () => {
      over = true;
      clearTimeout(again);
    };
  }, [desk, link, contact, count, known, tries]);
  return messages;
}
