/** Take yourself along, come back, or be forgotten. */
import { useRef, useState } from "preact/hooks";
import { written } from "../person/person";
import { forget, importFrom, person } from "../person/store";
import { texts } from "../texts";
import { say } from "./toasts";

export function YourData() {
  const [asking, setAsking] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const forgetButton = useRef<HTMLButtonElement>(null);
  const take = async (input: HTMLInputElement) => {
    const text = await input.files?.[0]?.text();
    input.value = "";
    if (text !== undefined) say(importFrom(text) ? texts.you.imported : texts.you.notImported);
  };
  const gone = async () => {
    setAsking(false);
    say((await forget()) ? texts.you.forgotten : texts.you.forgottenHere);
    forgetButton.current?.focus();
  };
  return (
    <section class="panel" aria-labelledby="data-heading">
      <h2 id="data-heading">{texts.you.data}</h2>
      <p class="faint">{texts.you.exportLead}</p>
      <div class="buttons">
        <button type="button" class="button" onClick={download}>{texts.you.export}</button>
        <button type="button" class="button" onClick={() => file.current?.click()}>{texts.you.import}</button>
        <input
          ref={file}
          type="file"
          accept="application/json,.json"
          aria-label={texts.you.import}
          hidden
          onChange={(event) => void take(event.currentTarget)}
        />
      </div>
      <p class="faint">{texts.you.forgetLead}</p>
      {asking ? (
        <div class="sure" role="alertdialog" aria-label={texts.you.forgetSure}>
          <p>{texts.you.forgetSure}</p>
          <div class="buttons">
            <button type="button" class="button button-danger" onClick={() => void gone()}>{texts.you.forgetYes}</button>
            <button type="button" class="button" ref={(one) => one?.focus()} onClick={() => setAsking(false)}>{texts.you.forgetNo}</button>
          </div>
        </div>
      ) : (
        <button type="button" class="button button-danger" ref={forgetButton} onClick={() => setAsking(true)}>{texts.you.forget}</button>
      )}
    </section>
  );
}

function download(): void {
  const address = URL.createObjectURL(new Blob([written(person.value)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = "moovier-ratings.json";
  link.click();
  // The browser reads it after this function.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
