/** Which pages each role has; the server decides again at every request. */

import type { Role } from "./api/types";

export interface PageLink {
  path: string;
  label: string;
}

const DESK: PageLink = { path: "/desk", label: "Desk" };
const RECORDINGS: PageLink = { path: "/recordings", label: "Recordings" };
const CONTACTS: PageLink = { path: "/contacts", label: "Contacts" };

const PAGES: Record<Role, PageLink[]> = {
  agent: [DESK],
  supervisor: [RECORDINGS, CONTACTS],
  admin: [RECORDINGS, CONTACTS],
};

/** Pages for everybody: no session is asked for, and a link from there to the others loads them anew. */
export const isForCallers = (path: string): boolean => path === "/call" || path.startsWith("/call/");

export const pagesOf = (role: Role): PageLink[] => PAGES[role];

export function homeOf(role: Role): string {
  return PAGES[role][0]?.path ?? "/";
}

export function mayOpen(role: Role, path: string): boolean {
  return PAGES[role].some((page) => page.path === path);
}
