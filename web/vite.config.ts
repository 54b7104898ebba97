/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run dev` finds an exchange: a real one, or tests/web/fake_exchange.py. */
const exchange = process.env.SWITCHROOM_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // data: URLs are not in the server's content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": { target: exchange, ws: true } } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
