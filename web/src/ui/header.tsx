/** The bar above every page: where one can go, who one is, light or dark, log out. */

import { ActionIcon, Button, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { LogOut, Moon, Sun } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useSession } from "../api/session";
import { openDesk } from "../desk/current";
import { pagesOf } from "../roles";
import { Mark } from "./mark";

function SchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={`Use ${other} colours`}
      title={`Use ${other} colours`}
      onClick={() => setColorScheme(other)}
    >
      {scheme === "dark" ? <Sun size={18} aria-hidden /> : <Moon size={18} aria-hidden />}
    </ActionIcon>
  );
}

export function Header() {
  const { user, logOut } = useSession();
  const [path] = useLocation();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(false);
  if (user === null) return null;

  const leave = async () => {
    const contact = openDesk()?.view.snapshot?.contact ?? null;
    if (contact !== null && contact.state !== "ended") {
      // Without this page the caller would hear nobody.
      openDesk()?.notify("You are in a call. Hang up first, then log out.");
      return;
    }
    if (openDesk()?.view.snapshot?.conversations.some((chat) => chat.state !== "wrap-up")) {
      openDesk()?.notify("Somebody is writing with you. End the conversation first, then log out.");
      return;
    }
    setBusy(true);
    setFailed(false);
    try {
      // An agent leaves the queues first; the desk says why when that is refused.
      const desk = openDesk();
      if (desk === null || desk.view.link !== "open" || (await desk.command("log_out", {}))) await logOut();
    } catch {
      setFailed(true);
    } finally {
      setBusy(false);
    }
  };

  return (
    <header className="header">
      <div className="header-inner">
        <Link href="/" className="brand" aria-label="Switchroom, start page">
          <Mark size={28} />
          <span className="brand-name">Switchroom</span>
        </Link>
        <nav className="nav" aria-label="Pages">
          {pagesOf(user.role).map((page) => (
            <Link key={page.path} href={page.path} aria-current={path === page.path ? "page" : undefined}>
              {page.label}
            </Link>
          ))}
        </nav>
        {failed && (
          <Text size="sm" c="var(--mantine-color-error)" role="alert">
            Could not log out. Try again.
          </Text>
        )}
        <Text size="sm" c="dimmed" className="user-name">
          {user.display}
        </Text>
        <SchemeButton />
        <Button
          variant="default"
          size="xs"
          loading={busy}
          onClick={() => void leave()}
          aria-label="Log out"
          data-testid="log-out"
        >
          <LogOut size={14} aria-hidden />
          <span className="log-out-word">&nbsp;Log out</span>
        </Button>
      </div>
    </header>
  );
}
