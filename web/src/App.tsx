/** The frame around every view, and which address is which view. */
import { ErrorBoundary, LocationProvider, Route, Router, lazy } from "preact-iso";
import { Footer } from "./components/Footer";
import { Header } from "./components/Header";
import { ToastPlace } from "./components/ToastPlace";
import { Discover } from "./views/Discover";
import { Movie } from "./views/Movie";
import { Nowhere } from "./views/Nowhere";
import { You } from "./views/You";

/** For engineers alone, so that nobody else waits for it. */
const Behind = lazy(() => import("./views/Behind"));
/** The page's own addresses; every other link is a real one. The same list is in `bentos/page.py`. */
const OWN = /^\/(movie\/\d+|you|behind)?$/;

export function App() {
  return (
    <LocationProvider scope={OWN}>
      <Header />
      <main id="main" tabIndex={-1}>
        <ErrorBoundary>
          <Router>
            <Route path="/" component={Discover} />
            <Route path="/movie/:id" component={Movie} />
            <Route path="/you" component={You} />
            <Route path="/behind" component={Behind} />
            <Route default component={Nowhere} />
          </Router>
        </ErrorBoundary>
      </main>
      <Footer />
      <ToastPlace />
    </LocationProvider>
  );
}
