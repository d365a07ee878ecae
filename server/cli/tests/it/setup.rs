use crate::bed::Bed;

#[test]
fn an_editor_is_set_up_only_when_asked_to_write() {
    let bed = Bed::new();
    let plugin = bed.path("home/.local/share/nvim/site/pack/podium/start/podium/plugin/podium.lua");
    let (code, planned) = bed.json(&["podium", "setup", "neovim", "--json"]);
    assert!(code == 0 && planned["data"]["written"] == false && !plugin.exists(), "{planned}");
    let (code, done) = bed.json(&["podium", "setup", "neovim", "--write", "--json"]);
    assert!(code == 0 && plugin.is_file(), "{done}");
    let (_, again) = bed.json(&["podium", "setup", "neovim", "--write", "--json"]);
    assert_eq!(again["data"]["steps"].as_array().unwrap().len(), 0);
}

#[test]
fn helix_gets_its_languages_file() {
    let bed = Bed::new();
    assert_eq!(bed.json(&["podium", "setup", "helix", "--write", "--json"]).0, 0);
    let text = std::fs::read_to_string(bed.path("home/.config/helix/languages.toml")).unwrap();
    assert!(text.contains("[language-server.podium]"));
}
