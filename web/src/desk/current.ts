/** The desk that is open in this page, if one is: the header's log-out and the support diagnostic reach it here. */

import { diagnose } from "../media/diagnostic";
import type { Desk } from "./desk";
import { softphoneWords } from "./words";

let current: Desk | null = null;

export const openDesk = (): Desk | null => current;

export function setOpenDesk(desk: Desk | null): void {
  current = desk;
  diagnose(desk && { state: () => softphoneWords(desk.view).state, meter: desk.softphone.meter });
}
