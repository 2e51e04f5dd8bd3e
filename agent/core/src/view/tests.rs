//! Golden files of the view.
