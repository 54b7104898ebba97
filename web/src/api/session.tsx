/** Who is logged in: the session's cookie is the server's, we only ask `/me`. */

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { isForCallers } from "../roles";
import { ApiError, get, post, sentence, sessionEnded } from "./http";
import type { Login, User } from "./types";

export type SessionState = "asking" | "in" | "out" | "unreachable";

interface Session {
  state: SessionState;
  user: User | null;
  /** Why the server could not be asked. */
  problem: string;
  logIn(name: string, password: string): Promise<void>;
  logOut(): Promise<void>;
  retry(): void;
}

const SessionContext = createContext<Session | null>(null);

/** Set while this browser believes that it is logged in; the truth is in a cookie that pages cannot see. */
const BELIEF_KEY = "switchroom.in";
const believe = (isIn: boolean): void => {
  if (isIn) localStorage.setItem(BELIEF_KEY, "1");
  else localStorage.removeItem(BELIEF_KEY);
};

/** A newcomer at the door need not be told by an error that nobody is logged in; on a caller's page nobody asks. */
const newcomer =
  isForCallers(location.pathname) ||
  (["/", "/login"].includes(location.pathname) && localStorage.getItem(BELIEF_KEY) === null);

// Asked while the page is still being built: a desk that is refreshed during a call has no time to lose.
let first: Promise<User> | null = newcomer ? null : get<User>("/api/v1/me");
first?.catch(() => undefined);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<SessionState>(newcomer ? "out" : "asking");
  const [user, setUser] = useState<User | null>(null);
  const [problem, setProblem] = useState("");

  const ask = useCallback(async () => {
    const asked = first ?? get<User>("/api/v1/me");
    first = null;
    try {
      setUser(await asked);
      setState("in");
      believe(true);
    } catch (error) {
      const out = error instanceof ApiError && error.status === 401;
      if (out) believe(false);
      setUser(null);
      setProblem(sentence(error));
      setState(out ? "out" : "unreachable");
    }
  }, []);

  useEffect(() => {
    if (!newcomer) void ask();
    const ended = () => {
      believe(false);
      setUser(null);
      setState("out");
    };
    sessionEnded.addEventListener("ended", ended);
    return () => sessionEnded.removeEventListener("ended", ended);
  }, [ask]);

  const session = useMemo<Session>(
    () => ({
      state,
      user,
      problem,
      async logIn(name, password) {
        const login = await post<Login>("/api/v1/login", { name, password });
        believe(true);
        setUser(login.user);
        setState("in");
      },
      async logOut() {
        await post("/api/v1/logout");
        believe(false);
        setUser(null);
        setState("out");
      },
      retry() {
        setState("asking");
        void ask();
      },
    }),
    [state, user, problem, ask],
  );
  return <SessionContext value={session}>{children}</SessionContext>;
}

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("useSession outside of SessionProvider");
  return session;
}
