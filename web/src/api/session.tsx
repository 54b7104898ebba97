/** Who is logged in: the session's cookie is the server's, we only ask `/me`. */

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
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

// Asked while the page is still being built: a desk that is refreshed during a call has no time to lose.
let first: Promise<User> | null = get<User>("/api/v1/me");
first.catch(() => undefined);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<SessionState>("asking");
  const [user, setUser] = useState<User | null>(null);
  const [problem, setProblem] = useState("");

  const ask = useCallback(async () => {
    const asked = first ?? get<User>("/api/v1/me");
    first = null;
    try {
      setUser(await asked);
      setState("in");
    } catch (error) {
      setUser(null);
      setProblem(sentence(error));
      setState(error instanceof ApiError && error.status === 401 ? "out" : "unreachable");
    }
  }, []);

  useEffect(() => {
    void ask();
    const ended = () => {
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
        setUser(login.user);
        setState("in");
      },
      async logOut() {
        await post("/api/v1/logout");
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
