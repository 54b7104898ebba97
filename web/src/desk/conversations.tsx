/** The written conversations: one is open, the others are tabs that say what is new in them. */

import { Badge, Group, Tabs, Text } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Conversation } from "../api/desk";
import { ConversationPanel } from "./conversation";
import { customerName } from "./words";

export function ConversationsPanel({ conversations }: { conversations: Conversation[] }) {
  const [chosen, setChosen] = useState<string | null>(null);
  // How many messages of each were on the screen.
  const [seen, setSeen] = useState<Record<string, number>>({});
  const first = conversations[0];
  const open = conversations.find((chat) => chat.contact === chosen) ?? first;
  const contact = open?.contact;
  const count = open?.messages ?? 0;
  useEffect(() => {
    if (contact !== undefined) setSeen((before) => ({ ...before, [contact]: count }));
  }, [contact, count]);
  if (first === undefined || open === undefined) return null;
  return (
    <section className="panel" aria-label="Conversations" data-testid="conversations">
      <Tabs value={open.contact} onChange={setChosen} keepMounted={false}>
        <Tabs.List>
          {conversations.map((chat) => {
            const fresh = chat.contact === open.contact ? 0 : chat.messages - (seen[chat.contact] ?? 0);
            return (
              <Tabs.Tab key={chat.contact} value={chat.contact} data-testid={`chat-${chat.contact}`}>
                <Group gap={8} wrap="nowrap">
                  <Text size="sm" fw={600} maw={180} truncate>
                    {customerName(chat)}
                  </Text>
                  {fresh > 0 && (
                    <Badge size="sm" circle={fresh < 10} aria-label={`${fresh} new`}>
                      {fresh}
                    </Badge>
                  )}
                  {chat.state !== "engaged" && (
                    <Badge size="sm" variant="light" color={chat.state === "parked" ? "gray" : "grape"}>
                      {chat.state === "parked" ? "Parked" : "Ended"}
                    </Badge>
                  )}
                </Group>
              </Tabs.Tab>
            );
          })}
        </Tabs.List>
        {conversations.map((chat) => (
          <Tabs.Panel key={chat.contact} value={chat.contact} pt="md">
            <ConversationPanel chat={chat} />
          </Tabs.Panel>
        ))}
      </Tabs>
    </section>
  );
}
