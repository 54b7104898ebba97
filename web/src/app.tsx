/** Which page is shown: by address, by session, by role. */

import { Button, Center, Loader, Stack, Text, Title } from "@mantine/core";
import { type ComponentType, lazy, type ReactNode, Suspense, useEffect } from "react";
import { Link, Redirect, Route, Switch, useLocation, useSearch } from "wouter";
import { useSession } from "./api/session";
import { DeskPage } from "./desk/page";
import { LoginPage } from "./login";
import { homeOf, isForCallers, mayOpen } from "./roles";
import { Header } from "./ui/header";
import { usePageTitle } from "./ui/title";

const CallerPage = lazy(() => import("./caller/page"));
const RecordingsPage = lazy(() => import("./records/recordings"));
const ContactsPage = lazy(() => import("./records/contacts"));

const RETRY_MS = 1_000;

function Message({ title, children }: { title: string; children: ReactNode }) {
  usePageTitle(title);
  return (
    <Center mih="60vh" px="md">
      <Stack align="center" gap="md" maw={460}>
        <Title order={1} size="h3" ta="center">
          {title}
        </Title>
        {children}
      </Stack>
    </Center>
  );
}

function Waiting() {
  return (
    <Center mih="60vh">
      <Loader aria-label="Loading" />
    </Center>
  );
}

function Unreachable() {
  const { problem, retry } = useSession();
  useEffect(() => {
    const timer = setTimeout(retry, RETRY_MS);
    return () => clearTimeout(timer);
  }, [retry]);
  return (
    <Message title="The exchange does not answer">
      <Text c="dimmed" ta="center" role="status">
        {problem} This page tries again by itself.
      </Text>
      <Button variant="default" onClick={retry}>
        Try now
      </Button>
    </Message>
  );
}

function NotFound() {
  return (
    <Message title="There is no such page">
      <Text c="dimmed" ta="center">
        The address may be mistyped, or your account has no access to it.
      </Text>
      <Button component={Link} href="/">
        To the start page
      </Button>
    </Message>
  );
}

function Guarded({ path, page: Page }: { path: string; page: ComponentType }) {
  const { user } = useSession();
  if (user === null) return null;
  return mayOpen(user.role, path) ? <Page /> : <NotFound />;
}

/** The log-in remembers where the visitor wanted to go. */
function ToLogin() {
  const [path] = useLocation();
  const search = useSearch();
  const wanted = path === "/" ? "" : `?next=${encodeURIComponent(search ? `${path}?${search}` : path)}`;
  return <Redirect to={`/login${wanted}`} replace />;
}

export function App() {
  const { state, user } = useSession();
  const [path] = useLocation();
  if (isForCallers(path)) {
    return (
      <Suspense fallback={<Waiting />}>
        <CallerPage />
      </Suspense>
    );
  }
  if (state === "asking") return <Waiting />;
  if (state === "unreachable") return <Unreachable />;
  if (user === null) {
    return (
      <Switch>
        <Route path="/login" component={LoginPage} />
        <Route component={ToLogin} />
      </Switch>
    );
  }
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <main id="main" className="main" tabIndex={-1}>
        <Suspense fallback={<Waiting />}>
          <Switch>
            <Route path="/">
              <Redirect to={homeOf(user.role)} replace />
            </Route>
            <Route path="/login" component={LoginPage} />
            <Route path="/desk">
              <Guarded path="/desk" page={DeskPage} />
            </Route>
            <Route path="/recordings">
              <Guarded path="/recordings" page={RecordingsPage} />
            </Route>
            <Route path="/contacts">
              <Guarded path="/contacts" page={ContactsPage} />
            </Route>
            <Route component={NotFound} />
          </Switch>
        </Suspense>
      </main>
    </>
  );
}
