import { useView } from "../components/useView";
import { texts } from "../texts";

export function Nowhere({ message = texts.trouble.nowhereLead }: { message?: string }) {
  useView(texts.titles.of(texts.trouble.nowhere));
  return (
    <section class="notice">
      <h1 class="notice-heading" tabIndex={-1}>{texts.trouble.nowhere}</h1>
      <p>{message}</p>
      <a class="button" href="/">{texts.trouble.home}</a>
    </section>
  );
}
