/** A panel to sign in as a user of the MovieLens data set. */
import { useState } from "preact/hooks";
import { client, unwrap } from "../api/client";
import { parseId } from "../movie";
import { signIn, visitor } from "../visitor/store";
import { texts } from "../texts";

/** Return whether the service takes this text as a user id: its data set may have text ids. */
async function takesText(id: string): Promise<boolean> {
  try {
    await unwrap(client.POST("/recommend", { body: { user_id: id, top_k: 1 } }));
    return true;
  } catch {
    return false;
  }
}

export function SignIn() {
  const [text, setText] = useState("");
  const [isInvalid, setIsInvalid] = useState(false);
  const { userId } = visitor.value;
  const submit = async (event: Event) => {
    event.preventDefault();
    const id = parseId(text.trim());
    const isValid = typeof id === "number" || (/\D/.test(id) && (await takesText(id)));
    setIsInvalid(!isValid);
    if (isValid) signIn(id);
  };
  return (
    <section class="panel" aria-labelledby="sign-in-heading">
      <h2 id="sign-in-heading">{texts.you.signIn}</h2>
      {userId === null ? (
        <>
          <p class="faint">{texts.you.signInLead}</p>
          <form class="inline-form" onSubmit={(event) => void submit(event)} noValidate>
            <label class="field">
              <span>{texts.you.userId}</span>
              <input
                type="text"
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
