/** A panel to export, import and delete the visitor's ratings. */
import { useRef, useState } from "preact/hooks";
import { exportFile } from "../visitor/visitor";
import { forget, importFile, visitor } from "../visitor/store";
import { texts } from "../texts";
import { showToast } from "./toasts";

export function YourData() {
  const [isConfirming, setIsConfirming] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const forgetButton = useRef<HTMLButtonElement>(null);
  const importChosen = async (input: HTMLInputElement) => {
    const text = await input.files?.[0]?.text();
    input.value = "";
    if (text !== undefined) showToast(importFile(text) ? texts.you.imported : texts.you.notImported);
  };
  const forgetVisitor = async () => {
    setIsConfirming(false);
    showToast((await forget()) ? texts.you.forgotten : texts.you.forgottenHere);
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
          onChange={(event) => void importChosen(event.currentTarget)}
        />
      </div>
      <p class="faint">{texts.you.forgetLead}</p>
      {isConfirming ? (
        <div class="confirm" role="alertdialog" aria-label={texts.you.forgetConfirm}>
          <p>{texts.you.forgetConfirm}</p>
          <div class="buttons">
            <button type="button" class="button button-danger" onClick={() => void forgetVisitor()}>{texts.you.forgetYes}</button>
            <button type="button" class="button" ref={(button) => button?.focus()} onClick={() => setIsConfirming(false)}>{texts.you.forgetNo}</button>
          </div>
        </div>
      ) : (
        <button type="button" class="button button-danger" ref={forgetButton} onClick={() => setIsConfirming(true)}>{texts.you.forget}</button>
      )}
    </section>
  );
}

function download(): void {
  const url = URL.createObjectURL(new Blob([exportFile(visitor.value)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "moovier-ratings.json";
  link.click();
  // The browser reads the file after this function has returned.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
