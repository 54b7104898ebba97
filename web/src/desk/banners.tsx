/** What stops the agent from working, said at once, with what to do about it. */

import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { Megaphone, MicOff, MonitorX, PlugZap, TriangleAlert, Volume2 } from "lucide-react";
import type { ReactNode } from "react";
import { microphoneAdvice } from "../media/microphone";
import { useDesk, useDeskView } from "./hooks";

interface BannerProps {
  id: string;
  color: string;
  icon: ReactNode;
  title: string;
  children: ReactNode;
  action?: { label: string; testId?: string; run(): void };
}

function Banner({ id, color, icon, title, children, action }: BannerProps) {
  return (
    <Alert color={color} icon={icon} title={title} role="alert" data-testid={`banner-${id}`}>
      <Group justify="space-between" gap="sm">
        <Text size="sm" flex="1 1 260px">
          {children}
        </Text>
        {action && (
          <Button size="xs" onClick={action.run} data-testid={action.testId}>
            {action.label}
          </Button>
        )}
      </Group>
    </Alert>
  );
}

export function Banners() {
  const desk = useDesk();
  const { link, snapshot, microphone, softphone, notice } = useDeskView();
  const advice = microphoneAdvice(microphone.state);
  const talking = snapshot?.contact?.state === "talking";
  return (
    <Stack gap="xs" className="banners">
      {link === "lost" && (
        <Banner id="link" color="red" icon={<PlugZap aria-hidden />} title="The connection to the exchange is lost">
          It is tried again by itself.
          {talking && " Your call goes on; the buttons work again when the connection is back."}
        </Banner>
      )}
      {advice !== null && softphone.phase !== "replaced" && (
        <Banner
          id="microphone"
          color="red"
          icon={<MicOff aria-hidden />}
          title={advice.title}
          action={{ label: "Try again", run: () => void desk.microphone.open() }}
        >
          {advice.advice}
        </Banner>
      )}
      {softphone.phase === "replaced" && (
        <Banner
          id="replaced"
          color="orange"
          icon={<MonitorX aria-hidden />}
          title="Your softphone is in use on another page"
          action={{
            label: "Use the softphone here",
            testId: "softphone-take",
            run: () => desk.softphone.takeOver(),
          }}
        >
          This account has a desk open in another tab or on another computer, and calls are heard there.
        </Banner>
      )}
      {softphone.phase === "lost" && (
        <Banner id="softphone" color="orange" icon={<PlugZap aria-hidden />} title="The softphone lost its connection">
          A new connection is being made.
          {talking && " The caller waits; you are back in the call when it is there."}
        </Banner>
      )}
      {softphone.blocked && (
        <Banner
          id="blocked"
          color="orange"
          icon={<Volume2 aria-hidden />}
          title="The browser holds the sound back"
          action={{ label: "Turn the sound on", run: () => desk.softphone.play() }}
        >
          It wants one click before this page may play a caller's voice.
        </Banner>
      )}
      {snapshot?.broadcasts.map((said) => (
        <Alert
          key={said.id}
          color="blue"
          icon={<Megaphone aria-hidden />}
          title={said.by}
          role="status"
          withCloseButton
          closeButtonLabel={`Put the message of ${said.by} away`}
          onClose={() => void desk.command("put_away", { broadcast: said.id })}
          data-testid="broadcast"
        >
          {said.text}
        </Alert>
      ))}
      {notice && (
        <Alert
          color="red"
          icon={<TriangleAlert aria-hidden />}
          role="alert"
          withCloseButton
          closeButtonLabel="Dismiss"
          onClose={desk.dismiss}
          data-testid="notice"
        >
          {notice}
        </Alert>
      )}
    </Stack>
  );
}
