/** The look: Mantine's, with one colour of our own and grey text that keeps a contrast of 4.5 to 1. */

import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

const petrol: MantineColorsTuple = [
  "#e6f6f9",
  "#d3e9ee",
  "#a7d2dc",
  "#77b9c9",
  "#50a5b9",
  "#3798af",
  "#2792ab",
  "#177f97",
  "#0b7285",
  "#00596a",
];

/** Mantine's green, its dark end darker: white words on it keep the contrast too. */
const green: MantineColorsTuple = [
  "#ebfbee",
  "#d3f9d8",
  "#b2f2bb",
  "#8ce99a",
  "#69db7c",
  "#51cf66",
  "#40c057",
  "#2f9e44",
  "#237a36",
  "#1b652b",
];

export const theme = createTheme({
  primaryColor: "petrol",
  colors: { petrol, green },
  primaryShade: 8,
  defaultRadius: "md",
  autoContrast: true,
  luminanceThreshold: 0.35,
  respectReducedMotion: true,
  cursorType: "pointer",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif",
  headings: { fontWeight: "650" },
});

export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#54606b",
    "--mantine-color-body": "#f4f6f8",
    "--mantine-color-error": "#c92a2a",
    "--mantine-color-orange-light-color": "#a13a06",
    "--card": "#ffffff",
    "--card-border": "#dfe4e9",
    "--left": "#0b7285",
    "--right": "#c2570c",
    "--gap": "rgba(90, 100, 110, 0.16)",
  },
  dark: {
    "--mantine-color-dimmed": "#a9b2bb",
    "--mantine-color-body": "#15191d",
    "--mantine-color-error": "#ff8787",
    "--card": "#1d2328",
    "--card-border": "#323a42",
    "--left": "#4cc0d6",
    "--right": "#f2a15f",
    "--gap": "rgba(190, 200, 210, 0.16)",
  },
});
