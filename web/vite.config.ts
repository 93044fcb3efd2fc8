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
        // noVNC's licence asks that whoever gets it is told where its source is.
        banner: (chunk) =>
          chunk.name === "vnc" ? "/*! noVNC, unchanged but for being bundled: MPL-2.0, https://github.com/novnc/noVNC */" : "",
        // What shows desktops, terminals and recordings is large, and loaded where one is opened.
        chunkFileNames: (chunk) => ({ Recording: "player.js", Terminal: "terminal.js" })[chunk.name] ?? "[name].js",
        assetFileNames: "page[extname]",
      },
    },
  },
});
