//! A record with one field more than there is, for tests. Its names are known like the record's.

gantry_model::record_rows! {
    /// A record of a later version, with one field more.
    #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(default)]
    pub(crate) struct Toy {
        /// As it always was.
        model: String = 13, shared, text;
        /// The one that is added.
        colour: String = 126, text;
    }
}
