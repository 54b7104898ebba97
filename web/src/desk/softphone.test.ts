import { describe, expect, it } from "vitest";
import { decibels, strongest } from "../media/audio";
import { betterSkew } from "./clock";
import { patience, redialDelay } from "./softphone";

const LONG = Number.POSITIVE_INFINITY;

describe("patience with the server's word", () => {
  it.each(["ready", "connecting", "replaced"] as const)("keeps a connection that is %s", (word) => {
    expect(patience(word, LONG, LONG)).toBeNull();
  });

  it("renews soon what an old acquaintance calls lost", () => {
    expect(patience("lost", LONG, LONG)).toBe(200);
    expect(patience("none", LONG, LONG)).toBe(200);
  });

  it("gives a word that may be older than our offer time to be corrected", () => {
    expect(patience("none", 0, LONG)).toBe(2000);
    expect(patience("none", 1500, LONG)).toBe(500);
  });

  it("gives an exchange that has just come back time to ask its cards", () => {
    expect(patience("none", LONG, 0)).toBe(1500);
  });
});

it("redials at once, then ever slower", () => {
  expect([0, 1, 2, 3, 9].map(redialDelay)).toEqual([0, 300, 600, 1200, 5000]);
});

describe("tone", () => {
  it("is found between two bins by their neighbours", () => {
    const bins = new Float32Array(1024).fill(-120);
    bins.set([-40, -20, -40], 299);
    expect(strongest(bins, 2)).toBeCloseTo(600);
    bins.set([-30, -20, -20], 299);
    expect(strongest(bins, 2)).toBeCloseTo(601);
  });

  it("is 0 in silence, also in the analyser's minus infinity", () => {
    expect(strongest(new Float32Array(1024).fill(-120), 2)).toBe(0);
    expect(strongest(new Float32Array(1024).fill(Number.NEGATIVE_INFINITY), 2)).toBe(0);
  });

  it("has a level in dBFS", () => {
    expect(decibels(Float32Array.from({ length: 4800 }, (_, i) => Math.sin(i / 10)))).toBeCloseTo(-3.01, 1);
    expect(decibels(new Float32Array(16))).toBe(-100);
  });
});

describe("the server's clock", () => {
  it("believes the message that was least late", () => {
    expect(betterSkew(null, -3)).toBe(-3);
    expect(betterSkew(-3, -2.9)).toBe(-2.9);
    expect(betterSkew(-2.9, -3.4)).toBe(-2.9);
  });

  it("follows a clock that was set", () => {
    expect(betterSkew(10, 0)).toBe(0);
    expect(betterSkew(0, 100)).toBe(100);
  });
});
