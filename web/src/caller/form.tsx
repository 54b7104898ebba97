/** Whom to call, who calls, and the button. */

import { Alert, Button, Stack, Text, TextInput } from "@mantine/core";
import { MicOff, Phone } from "lucide-react";
import { type FormEvent, useState } from "react";
import { microphoneAdvice } from "../media/microphone";
import { numberProblem } from "./words";

interface CallFormProps {
  number: string;
  name: string;
  onNumber(number: string): void;
  onName(name: string): void;
  onCall(): void;
}

export function CallForm({ number, name, onNumber, onName, onCall }: CallFormProps) {
  const [problem, setProblem] = useState("");
  const insecure = window.isSecureContext ? null : microphoneAdvice("insecure");

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const wrong = numberProblem(number);
    setProblem(wrong);
    if (!wrong) onCall();
  };

  return (
    <form className="panel" onSubmit={submit} noValidate data-testid="caller-form">
      <Stack gap="md">
        {insecure !== null && (
          <Alert color="red" icon={<MicOff aria-hidden />} title={insecure.title} role="alert">
            {insecure.advice}
          </Alert>
        )}
        <TextInput
          label="Number"
          inputMode="tel"
          autoComplete="off"
          size="md"
          value={number}
          error={problem}
          onChange={(event) => {
            onNumber(event.currentTarget.value.replace(/\s/g, ""));
            setProblem("");
          }}
          data-testid="caller-number"
        />
        <TextInput
          label="Your name"
          description="Shown to the person who answers; you may leave it empty."
          size="md"
          maxLength={80}
          value={name}
          onChange={(event) => onName(event.currentTarget.value)}
          data-testid="caller-name"
        />
        <Button
          type="submit"
          color="green"
          size="xl"
          fullWidth
          mt={4}
          disabled={insecure !== null}
          leftSection={<Phone size={24} aria-hidden />}
          data-testid="caller-call"
        >
          Call
        </Button>
        <Text size="sm" c="dimmed" ta="center">
          The browser asks for your microphone. Nothing of the call is kept in it.
        </Text>
      </Stack>
    </form>
  );
}
