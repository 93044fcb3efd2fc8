// One script, one style sheet, fixed names: the gate embeds them, and its policy admits nothing else.
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
        // The page that plays recordings, which few open, brings its player along.
        chunkFileNames: (chunk) => (chunk.name === "Recording" ? "player.js" : "[name].js"),
        assetFileNames: "page[extname]",
      },
    },
  },
});
