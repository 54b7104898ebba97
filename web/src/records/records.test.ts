import { describe, expect, it } from "vitest";
import { bytes, clock, percent, spoken } from "../ui/format";
import { filtersOf, request, searchOf } from "./filters";
import { columnPeaks, gapAt, secondsAt } from "./waveform-draw";

describe("waveform", () => {
  it("shows the loudest peak under each column", () => {
    expect(columnPeaks([1, 9, 3, 4, 200, 6], 2, 3, 3)).toEqual([9, 4, 100]);
  });

  it("spreads few peaks over many columns", () => {
    expect(columnPeaks([10, 20], 1, 2, 4)).toEqual([10, 10, 20, 20]);
  });

  it("is silent beyond the peaks and without a length", () => {
    expect(columnPeaks([50], 1, 2, 2)).toEqual([50, 0]);
    expect(columnPeaks([50], 1, 0, 2)).toEqual([0, 0]);
  });

  it("turns a click into a second of the recording", () => {
    expect(secondsAt(50, 200, 60)).toBe(15);
    expect(secondsAt(-5, 200, 60)).toBe(0);
    expect(secondsAt(900, 200, 60)).toBe(60);
    expect(secondsAt(5, 0, 60)).toBe(0);
  });

  it("knows the paused stretches, their end excluded", () => {
    const gaps = [{ start: 3, end: 5 }];
    expect(gapAt(gaps, 3)).toBe(gaps[0]);
    expect(gapAt(gaps, 5)).toBeUndefined();
  });
});

describe("filters", () => {
  const now = new Date(2026, 10, 22, 15, 30);

  it("show the last seven days to a newcomer", () => {
    expect(filtersOf("", now).from).toBe("2026-11-16T00:00");
  });

  it("keep an emptied limit empty", () => {
    const all = { from: "", to: "", number: "", agent: "", queue: "", final: "" };
    expect(filtersOf(searchOf(all), now)).toEqual(all);
  });

  it("survive the address", () => {
    const wanted = { ...filtersOf("", now), number: "+49 30", agent: "a1", final: "handled" };
    expect(filtersOf(searchOf(wanted), now)).toEqual(wanted);
  });

  it("ask the server in UTC, without empty fields", () => {
    const asked = new URL(request("/list", filtersOf("from=2026-11-16T00:00&number=%2B49", now), "cursor"), "http://x");
    expect(asked.searchParams.get("from")).toBe(new Date(2026, 10, 16).toISOString());
    expect(asked.searchParams.get("number")).toBe("+49");
    expect(asked.searchParams.get("before")).toBe("cursor");
    expect([...asked.searchParams.keys()]).not.toContain("to");
  });
});

it("writes numbers as people read them", () => {
  expect([-3, 7.9, 754, 3723].map(clock)).toEqual(["0:00", "0:07", "12:34", "1:02:03"]);
  expect([1, 60, 65].map(spoken)).toEqual(["1 second", "1 minute", "1 minute 5 seconds"]);
  expect([950, 12_400, 3_440_000].map(bytes)).toEqual(["950 B", "12 kB", "3.4 MB"]);
  expect([percent(1, 3), percent(1, 0)]).toEqual(["33 %", "0 %"]);
});
