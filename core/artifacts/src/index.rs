//! The tantivy index: its fields, what goes in, what comes out.

use std::path::Path;

use podium_protocol::{Artifact, ArtifactHit, ArtifactSearchParams};
use podium_store::rfc3339;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, FuzzyTermQuery, Occur, Query, QueryParser, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, STRING, Schema, TEXT, Value as _};
use tantivy::snippet::SnippetGenerator;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use crate::ArtifactError;
use crate::blobs::Blobs;

/// Memory of the writer, in bytes; the least that tantivy takes. It is given back after each batch.
const WRITER_MEMORY: usize = 15_000_000;
/// Longest snippet, in characters.
const SNIPPET: usize = 200;
/// Text of an artifact that a snippet is looked for in, in bytes.
const SNIPPET_SOURCE: usize = 256 * 1024;

#[derive(Clone, Copy)]
struct Fields {
    id: Field,
    title: Field,
    kind: Field,
    session: Field,
    worktree: Field,
    text: Field,
    hash: Field,
    created: Field,
}

/// An open index.
pub(crate) struct SearchIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let fields = Fields {
        id: builder.add_text_field("id", STRING | STORED),
        title: builder.add_text_field("title", TEXT | STORED),
        kind: builder.add_text_field("kind", STRING | STORED),
        session: builder.add_text_field("session", STRING | STORED),
        worktree: builder.add_text_field("worktree", STRING | STORED),
        text: builder.add_text_field("text", TEXT),
        hash: builder.add_text_field("hash", STRING | STORED),
        created: builder.add_text_field("created", STORED),
    };
    (builder.build(), fields)
}

impl SearchIndex {
    /// Opens the index in `folder`. One that is missing, damaged or of another shape is begun anew.
    pub(crate) fn open(folder: &Path) -> Result<Self, ArtifactError> {
        match Self::try_open(folder) {
            Ok(index) => Ok(index),
            Err(error) => {
                tracing::warn!(%error, "the search index is built anew");
                let _ = std::fs::remove_dir_all(folder);
                Ok(Self::try_open(folder)?)
            }
        }
    }

    fn try_open(folder: &Path) -> tantivy::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (schema, fields) = schema();
        let index = Index::open_or_create(tantivy::directory::MmapDirectory::open(folder)?, schema)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields })
    }

    /// Number of the last artifact that is in the index.
    pub(crate) fn read_to(&self) -> Result<u64, ArtifactError> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Adds artifacts and makes them visible; `read_to` is the number of the last one.
    pub(crate) fn add(&self, batch: &[(u64, Artifact)], blobs: &Blobs) -> Result<(), ArtifactError> {
        let Some((read_to, _)) = batch.last() else { return Ok(()) };
        let mut writer: IndexWriter = self.index.writer_with_num_threads(1, WRITER_MEMORY)?;
        for (_, artifact) in batch {
            // Twice in one crash window: the newer replaces the older.
            writer.delete_term(Term::from_field_text(self.fields.id, &artifact.id));
            writer.add_document(self.document(artifact, blobs))?;
        }
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&read_to.to_string());
        commit.commit()?;
        writer.wait_merging_threads()?;
        Ok(self.reader.reload()?)
    }

    fn document(&self, artifact: &Artifact, blobs: &Blobs) -> TantivyDocument {
        let fields = self.fields;
        let mut document = TantivyDocument::new();
        document.add_text(fields.id, &artifact.id);
        document.add_text(fields.title, &artifact.title);
        document.add_text(fields.kind, &artifact.kind);
        document.add_text(fields.hash, &artifact.hash);
        document.add_text(fields.created, &artifact.created_at);
        if let Some(session) = &artifact.session {
            document.add_text(fields.session, session);
        }
        if let Some(worktree) = &artifact.worktree {
            document.add_text(fields.worktree, worktree);
        }
        if artifact.bytes <= crate::MAX_TEXT as u64
            && let Ok(text) = blobs.get(&artifact.hash).map(String::from_utf8)
            && let Ok(text) = text
        {
            document.add_text(fields.text, text);
        }
        document
    }

    pub(crate) fn search(
        &self,
        params: &ArtifactSearchParams,
        blobs: &Blobs,
    ) -> Result<Vec<ArtifactHit>, ArtifactError> {
        let searcher = self.reader.searcher();
        let words = self.words(&params.query);
        let mut query: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, words.box_clone())];
        let filters = [
            (self.fields.kind, &params.kind),
            (self.fields.session, &params.session),
            (self.fields.worktree, &params.worktree),
        ];
        for (field, value) in filters {
            if let Some(value) = value {
                let term = Term::from_field_text(field, value);
                query.push((Occur::Must, Box::new(TermQuery::new(term, IndexRecordOption::Basic))));
            }
        }
        let limit = params.limit.unwrap_or(20).clamp(1, 200) as usize;
        let found =
            searcher.search(&BooleanQuery::new(query), &TopDocs::with_limit(limit).order_by_score())?;
        let mut snippets = SnippetGenerator::create(&searcher, &*words, self.fields.text)?;
        snippets.set_max_num_chars(SNIPPET);
        let mut hits = Vec::with_capacity(found.len());
        for (score, address) in found {
            hits.push(self.hit(score, &searcher.doc(address)?, &snippets, blobs));
        }
        Ok(hits)
    }

    /// All words of the query, in title (worth more) or text; the last one may be unfinished.
    fn words(&self, text: &str) -> Box<dyn Query> {
        let mut parser = QueryParser::for_index(&self.index, vec![self.fields.title, self.fields.text]);
        parser.set_field_boost(self.fields.title, 2.0);
        parser.set_conjunction_by_default();
        let (parsed, _) = parser.parse_query_lenient(text);
        let last = text.split_whitespace().last().unwrap_or("").to_lowercase();
        let is_word = last.chars().count() >= 2 && last.chars().all(char::is_alphanumeric);
        if !is_word || text.split_whitespace().count() > 1 {
            return parsed;
        }
        let prefix = |field| -> Box<dyn Query> {
            let query = FuzzyTermQuery::new_prefix(Term::from_field_text(field, &last), 0, true);
            Box::new(BoostQuery::new(Box::new(query), 0.5))
        };
        Box::new(BooleanQuery::new(vec![
            (Occur::Should, parsed),
            (Occur::Should, prefix(self.fields.title)),
            (Occur::Should, prefix(self.fields.text)),
        ]))
    }

    fn hit(
        &self,
        score: f32,
        document: &TantivyDocument,
        snippets: &SnippetGenerator,
        blobs: &Blobs,
    ) -> ArtifactHit {
        let text = |field| document.get_first(field).and_then(|v| v.as_str()).map(str::to_owned);
        let snippet = text(self.fields.hash).map(|hash| snippet(&hash, snippets, blobs)).unwrap_or_default();
        ArtifactHit {
            id: text(self.fields.id).unwrap_or_default(),
            title: text(self.fields.title).unwrap_or_default(),
            kind: text(self.fields.kind).unwrap_or_default(),
            session: text(self.fields.session),
            worktree: text(self.fields.worktree),
            score,
            snippet,
            created_at: text(self.fields.created).unwrap_or_else(|| rfc3339(0)),
        }
    }
}

fn snippet(hash: &str, generator: &SnippetGenerator, blobs: &Blobs) -> String {
    let Ok(mut bytes) = blobs.get(hash) else { return String::new() };
    bytes.truncate(SNIPPET_SOURCE);
    let text = String::from_utf8_lossy(&bytes);
    let found = generator.snippet(&text);
    let fragment = if found.fragment().is_empty() { &text } else { found.fragment() };
    fragment.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SNIPPET).collect()
}
