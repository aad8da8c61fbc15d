/** The notice for a URL without a view, or with an unknown movie. */
import { useView } from "../components/useView";
import { texts } from "../texts";

export function NotFound({ message = texts.errors.notFoundLead }: { message?: string }) {
  useView(texts.titles.of(texts.errors.notFound));
  return (
    <section class="notice">
      <h1 class="notice-heading" tabIndex={-1}>{texts.errors.notFound}</h1>
      <p>{message}</p>
      <a class="button" href="/">{texts.errors.home}</a>
    </section>
  );
}
