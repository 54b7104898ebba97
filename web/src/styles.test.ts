import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const SRC = "src";
const STYLES = "node_modules/@mantine/core/styles";

it("imports the styles of every Mantine component that a page uses", () => {
  const styles = readFileSync(join(SRC, "styles.ts"), "utf8");
  const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tsx"));
  const used = new Set<string>();
  for (const file of files) {
    const text = readFileSync(join(SRC, file), "utf8");
    for (const [, names] of text.matchAll(/import \{([^}]*)\} from "@mantine\/core"/g)) {
      for (const name of names?.split(",") ?? []) used.add(name.trim().replace(/^type /, ""));
    }
  }
  expect(used.has("Button")).toBe(true);
  const needed = [...used].filter((name) => name && existsSync(join(STYLES, `${name}.css`)));
  expect(needed.filter((name) => !styles.includes(`/${name}.css"`))).toEqual([]);
});
