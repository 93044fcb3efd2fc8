// One script, one more for terminals, one style sheet, fixed names: the gate embeds them, and its policy admits
// nothing else.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

export default defineConfig({
  base: "/web/",
  plugins: [svelte()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: "page.js",
        chunkFileNames: "terminal.js",
        assetFileNames: "page[extname]",
      },
    },
  },
});
