//! The arguments of `podium melody`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum MelodyCommand {
    /// Run a melody and follow it; it goes on by itself if the daemon dies
    #[command(after_help = "\
Examples:
  podium melody run review.melody.toml
  podium melody run hello.melody.toml --input topic=\"the sea\"
  podium melody run nightly.melody.toml --detach")]
    Run(crate::pit::args::MelodyRunArgs),
    /// Look for faults: each with its line, node and what to do
    #[command(after_help = "\
Examples:
  podium melody validate review.melody.toml
  podium melody validate review.melody.toml --json | jq '(.data.diagnostics)[] | .code'
  cat review.melody.json | podium melody validate -

Exit code 1 means that it cannot run; warnings alone leave it 0.")]
    Validate {
        /// A `.toml` or `.json` file; `-` is standard input
        file: PathBuf,
    },
    /// What a melody takes, does and gives
    #[command(after_help = "Example:\n  podium melody show review.melody.toml")]
    Show {
        /// A `.toml` or `.json` file; `-` is standard input
        file: PathBuf,
    },
    /// The melodies of a repository
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  podium melody list\n  podium melody list --repo ~/app"
    )]
    List {
        /// Any path inside the repository [default: the current folder]
        #[arg(long, value_name = "PATH")]
        repo: Option<PathBuf>,
    },
    /// Lay files out as is usual; comments stay
    #[command(after_help = "\
Examples:
  podium melody fmt review.melody.toml             print it
  podium melody fmt --write *.melody.toml          change the files
  podium melody fmt --check *.melody.toml          exit code 1 if one would change")]
    Fmt {
        /// Files; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Change nothing; name the files that would change
        #[arg(long, conflicts_with = "write")]
        check: bool,
        /// Change the files
        #[arg(long)]
        write: bool,
    },
    /// Draw a melody
    #[command(after_help = "\
Examples:
  podium melody graph review.melody.toml -o review.svg
  podium melody graph review.melody.toml --format dot | dot -Tpdf -o review.pdf")]
    Graph {
        /// A `.toml` or `.json` file; `-` is standard input
        file: PathBuf,
        /// How to draw
        #[arg(long, value_enum, default_value_t = Drawing::Svg)]
        format: Drawing,
        /// Write to this file [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Store a copy as an artifact
    #[command(after_help = "Example:\n  podium melody save review.melody.toml")]
    Save {
        /// A `.toml` or `.json` file; `-` is standard input
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// A picture for browsers and documents
    Svg,
    /// Text for Graphviz
    Dot,
}
