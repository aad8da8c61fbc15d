import { render } from "preact";
import { App } from "./App";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/poster.css";
import "./styles/discover.css";
import "./styles/views.css";

render(<App />, document.getElementById("page")!);
