/** The frame around every view, and the routes. */
import { ErrorBoundary, LocationProvider, Route, Router, lazy } from "preact-iso";
import { Footer } from "./components/Footer";
import { Header } from "./components/Header";
import { Toaster } from "./components/Toaster";
import { Discover } from "./views/Discover";
import { MoviePage } from "./views/MoviePage";
import { NotFound } from "./views/NotFound";
import { Together } from "./views/Together";
import { You } from "./views/You";

/** Loaded on demand, because most visitors never open it. */
const Ops = lazy(() => import("./views/Ops"));
/** The paths of the views, which the service knows, too; other links leave the page. */
const VIEW_PATHS = /^\/(movie\/\d+|you|together|behind)?$/;

export function App() {
  return (
    <LocationProvider scope={VIEW_PATHS}>
      <Header />
      <main id="main" tabIndex={-1}>
        <ErrorBoundary>
          <Router>
            <Route path="/" component={Discover} />
            <Route path="/movie/:id" component={MoviePage} />
            <Route path="/you" component={You} />
            <Route path="/together" component={Together} />
            <Route path="/behind" component={Ops} />
            <Route default component={NotFound} />
          </Router>
        </ErrorBoundary>
      </main>
      <Footer />
      <Toaster />
    </LocationProvider>
  );
}
