// Mounts the page.
import { mount } from "svelte";
import App from "./App.svelte";
import Sso from "./Sso.svelte";
import "./page.css";

const target = document.getElementById("app");
const page = location.pathname.startsWith("/web/sso/") ? Sso : App;
if (target) mount(page, { target });
