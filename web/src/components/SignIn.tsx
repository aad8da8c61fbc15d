/** A panel to sign in as a user of the MovieLens data set. */
import { useState } from "preact/hooks";
import { signIn, visitor } from "../visitor/store";
import { texts } from "../texts";

export function SignIn() {
  const [text, setText] = useState("");
  const [isInvalid, setIsInvalid] = useState(false);
  const { userId } = visitor.value;
  const submit = (event: Event) => {
    event.preventDefault();
    const isValid = /^[1-9]\d{0,14}$/.test(text.trim());
    setIsInvalid(!isValid);
    if (isValid) signIn(Number(text.trim()));
  };
  return (
    <section class="panel" aria-labelledby="sign-in-heading">
      <h2 id="sign-in-heading">{texts.you.signIn}</h2>
      {userId === null ? (
        <>
          <p class="faint">{texts.you.signInLead}</p>
          <form class="inline-form" onSubmit={submit} noValidate>
            <label class="field">
              <span>{texts.you.userId}</span>
              <input
                type="text"
                inputMode="numeric"
                value={text}
                aria-invalid={isInvalid}
                aria-describedby={isInvalid ? "sign-in-error" : undefined}
                onInput={(event) => setText(event.currentTarget.value)}
              />
            </label>
            <button type="submit" class="button">{texts.you.signInDo}</button>
          </form>
          {isInvalid && <p id="sign-in-error" class="warning" role="alert">{texts.you.invalidId}</p>}
        </>
      ) : (
        <>
          <p>{texts.you.signedIn(userId)}</p>
          <button type="button" class="button" onClick={() => signIn(null)}>{texts.you.signOut}</button>
        </>
      )}
    </section>
  );
}
