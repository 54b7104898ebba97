/** The agent's desk. */

import { Center, Loader, SimpleGrid, Stack, Text, VisuallyHidden } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import type { DeskSnapshot } from "../api/desk";
import { clock } from "../ui/format";
import { Banners } from "./banners";
import { CallPanel } from "./call";
import { ConversationsPanel } from "./conversations";
import { setOpenDesk } from "./current";
import { Desk } from "./desk";
import { DeskContext, useDeskView, useSecondsSince } from "./hooks";
import { OfferPanel } from "./offer";
import { QueuesPanel } from "./queues";
import { SoftphonePanel } from "./softphone-panel";
import { StateBar } from "./state-bar";
import { WaitingPanel } from "./waiting";
import { announcement } from "./words";
import { WrapUpPanel } from "./wrap-up";

export function DeskPage() {
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    const opened = new Desk();
    setOpenDesk(opened);
    opened.start();
    setDesk(opened);
    return () => {
      setOpenDesk(null);
      opened.close();
    };
  }, []);
  if (desk === null) return null;
  return (
    <DeskContext value={desk}>
      <DeskLayout />
    </DeskContext>
  );
}

function DeskLayout() {
  const { snapshot, link } = useDeskView();
  return (
    <Stack gap="md">
      <h1 style={{ position: "absolute", left: -9999 }}>Desk</h1>
      <Announcer />
      <Banners />
      {snapshot === null ? (
        <Center mih={320}>
          <Stack align="center">
            <Loader aria-hidden />
            <Text c="dimmed" role="status">
              {link === "lost" ? "The exchange cannot be reached. Trying again …" : "Opening the desk …"}
            </Text>
          </Stack>
        </Center>
      ) : (
        <>
          <DeskTitle snapshot={snapshot} />
          <StateBar snapshot={snapshot} />
          <div className="desk">
            <Stack gap="md">
              <Work snapshot={snapshot} />
              <ConversationsPanel conversations={snapshot.conversations} />
            </Stack>
            <SimpleGrid cols={{ base: 1, xs: 2, md: 1 }} spacing="md">
              <SoftphonePanel />
              <QueuesPanel queues={snapshot.queues} />
            </SimpleGrid>
          </div>
        </>
      )}
    </Stack>
  );
}

/** What the agent has to do now. */
function Work({ snapshot }: { snapshot: DeskSnapshot }) {
  const { offer, contact, wrap_up: wrapUp, conversations } = snapshot;
  if (offer !== null) return <OfferPanel key={offer.id} offer={offer} quiet={conversations.length > 0} />;
  if (wrapUp !== null) return <WrapUpPanel key={wrapUp.contact} wrapUp={wrapUp} contact={contact} />;
  if (contact !== null) return <CallPanel key={contact.id} contact={contact} />;
  if (conversations.length > 0) return null;
  return <WaitingPanel agent={snapshot.agent} />;
}

/** The tab's title says what happens here, for an agent who works in another tab. */
function DeskTitle({ snapshot }: { snapshot: DeskSnapshot }) {
  const { offer, contact, agent } = snapshot;
  const seconds = useSecondsSince(contact?.since ?? agent.since);
  useEffect(() => {
    if (offer !== null)
      document.title = `☎ ${offer.queue_name}: incoming ${offer.channel === "voice" ? "call" : "chat"}`;
    else if (contact !== null && contact.state === "talking") document.title = `● ${clock(seconds)} call – Switchroom`;
    else document.title = "Desk – Switchroom";
  }, [offer, contact, seconds]);
  return null;
}

/** Tells a screen reader what changed. */
function Announcer() {
  const { snapshot } = useDeskView();
  const before = useRef<DeskSnapshot | null>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    if (snapshot === null) return;
    const news = announcement(before.current, snapshot);
    before.current = snapshot;
    if (news) setText(news);
  }, [snapshot]);
  return (
    <VisuallyHidden role="status" aria-live="assertive">
      {text}
    </VisuallyHidden>
  );
}
