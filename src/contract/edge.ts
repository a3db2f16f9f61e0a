export type { AnyEdge, Edge } from "../core/edge.ts";
