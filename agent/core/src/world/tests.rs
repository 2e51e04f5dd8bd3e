//! Tests of the world by scenes.
