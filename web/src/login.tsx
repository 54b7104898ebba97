/** Log-in by name and password. */

import { Alert, Anchor, Button, Center, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { type FormEvent, useRef, useState } from "react";
import { Redirect, useSearch } from "wouter";
import { sentence } from "./api/http";
import { useSession } from "./api/session";
import { homeOf, mayOpen } from "./roles";
import { Mark } from "./ui/mark";
import { usePageTitle } from "./ui/title";

/** Where to go after the log-in: only to a page of ours that the role may open. */
function target(search: string, role: Parameters<typeof homeOf>[0]): string {
  const next = new URLSearchParams(search).get("next") ?? "";
  return mayOpen(role, next.split("?")[0] ?? "") ? next : homeOf(role);
}

export function LoginPage() {
  usePageTitle("Log in");
  const { user, logIn } = useSession();
  const search = useSearch();
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const password = useRef<HTMLInputElement>(null);

  if (user !== null) return <Redirect to={target(search, user.role)} replace />;

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setError("");
    try {
      await logIn(String(form.get("name") ?? "").trim(), String(form.get("password") ?? ""));
    } catch (failure) {
      setError(sentence(failure));
      password.current?.select();
    } finally {
      setBusy(false);
    }
  };

  return (
    <Center component="main" mih="100dvh" p="md">
      <form className="panel" style={{ width: "min(380px, 100%)" }} onSubmit={submit}>
        <Stack gap="md">
          <Stack gap={6} align="center" mb={4}>
            <Mark size={44} />
            <Title order={1} size="h3">
              Switchroom
            </Title>
          </Stack>
          {error && (
            <Alert color="red" role="alert" data-testid="login-error">
              {error}
            </Alert>
          )}
          <TextInput
            label="Name"
            name="name"
            required
            withAsterisk={false}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            data-testid="login-name"
          />
          <PasswordInput
            ref={password}
            label="Password"
            name="password"
            required
            withAsterisk={false}
            autoComplete="current-password"
            data-testid="login-password"
          />
          <Button type="submit" loading={busy} fullWidth mt={4} data-testid="login-submit">
            Log in
          </Button>
          <Text size="sm" c="dimmed" ta="center">
            You want to talk with us?{" "}
            <Anchor href="/call" underline="always">
              Call us from the browser
            </Anchor>
          </Text>
        </Stack>
      </form>
    </Center>
  );
}
