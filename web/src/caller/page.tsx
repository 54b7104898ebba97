/** A page from which anybody rings an entry point with the browser's microphone. */

import { Anchor, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { diagnose } from "../media/diagnostic";
import { Mark } from "../ui/mark";
import { usePageTitle } from "../ui/title";
import { Call } from "./call";
import { CallForm } from "./form";
import { CallPanel } from "./panel";
import { numberOf } from "./words";

export default function CallerPage() {
  usePageTitle("Call");
  const [path] = useLocation();
  const [number, setNumber] = useState(() => numberOf(path));
  const [name, setName] = useState("");
  const [call, setCall] = useState<Call | null>(null);

  useEffect(() => {
    if (call === null) return;
    diagnose({ state: () => call.view.phase, meter: call.meter });
    const leaving = (event: BeforeUnloadEvent) => {
      // Leaving ends the call: the browser asks whether that is meant.
      if (call.view.phase !== "ended") event.preventDefault();
    };
    // Said in words, so that nobody waits for the page to come back, as they do when its network breaks.
    const left = () => call.close();
    window.addEventListener("beforeunload", leaving);
    window.addEventListener("pagehide", left);
    return () => {
      window.removeEventListener("beforeunload", leaving);
      window.removeEventListener("pagehide", left);
      diagnose(null);
      call.close();
    };
  }, [call]);

  const dial = () => {
    const next = new Call(number, name);
    setCall(next);
    void next.start();
  };

  return (
    <main className="caller">
      <Stack gap={6} align="center" className="caller-head">
        <Mark size={40} />
        <Title order={1} size="h3">
          {call === null ? "Call us from the browser" : "Your call"}
        </Title>
      </Stack>
      {call === null ? (
        <CallForm number={number} name={name} onNumber={setNumber} onName={setName} onCall={dial} />
      ) : (
        <CallPanel key={call.key} call={call} onAgain={dial} onBack={() => setCall(null)} />
      )}
      {call === null && (
        <Text size="sm" c="dimmed" ta="center">
          You work here?{" "}
          <Anchor href="/" underline="always">
            Log in
          </Anchor>
        </Text>
      )}
    </main>
  );
}
