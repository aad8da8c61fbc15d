/** Types of the service's requests and answers, generated from its OpenAPI document.
 *
 * They are looked up by route, so the service may rename its schemas.
 */
import type { paths } from "./schema";

type Answer<Operation> = Operation extends {
  responses: { 200: { content: { "application/json": infer Json } } };
}
  ? Json
  : never;
type Body<Operation> = Operation extends {
  requestBody?: { content: { "application/json": infer Json } };
}
  ? Json
  : never;

export type RecommendRequest = Body<paths["/recommend"]["post"]>;
export type ListAnswer = Answer<paths["/recommend"]["post"]>;
export type ListItem = ListAnswer["items"][number];
export type MovieAnswer = Answer<paths["/movies/{movie_id}"]["get"]>;
export type ProvidersAnswer = Answer<paths["/movies/{movie_id}/providers"]["get"]>;
export type RegionProviders = Answer<paths["/providers"]["get"]>;
export type MatchedFile = Answer<paths["/ratings/match"]["post"]>;
export type Overview = Answer<paths["/overview"]["get"]>;
export type Model = Overview["models"][number];
export type Comparison = NonNullable<Overview["comparison"]>;
export type TrainingBatch = Body<paths["/train"]["post"]>;
