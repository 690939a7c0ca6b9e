use std::fs;

use super::super::{Place, file};
use super::*;
use crate::stored::ledger_to_json;

/// What stands in the file's place, and what is said about it.
#[tokio::test]
async fn a_file_that_is_not_ours_is_reported_and_left_alone() {
    let cases: [(&[u8], &str); 6] = [
        (b"", ": it is empty;"),
        (b"made-up-refresh-token-in-plain-text", ": it is not valid JSON from line 1, column 1 on;"),
        (b"{\"v\":1,\"ledger\":nu", ": it ends in the middle, at line 1, column 18;"),
        (b"{\"v\":2}", ": its format version is 2; this program knows version 1, so it was written by a later release;"),
        (b"\xff\xfe{", ": it is not text;"),
        (b"{\"v\":1,\"ledger\":null,\"versions\":[]}", ": written: it is missing (before or at line 1, column 35);"),
    ];
    for (bytes, expected) in cases {
        let scene = Scene::at("token.json");
        fs::write(&scene.path, bytes).unwrap();
        everything_says(&scene, expected).await;
        assert_eq!(fs::read(&scene.path).unwrap(), bytes);
    }
    let scene = Scene::at("token.json");
    fs::create_dir(&scene.path).unwrap();
    everything_says(&scene, ": a folder is in the place of the file;").await;
}

async fn everything_says(scene: &Scene, expected: &str) {
    scene.store.lock(&me()).await.unwrap();
    let some = VersionId("1".into());
    let (read, write) = (scene.store.read().await.unwrap_err(), scene.store.write(&me(), &empty(), None).await.unwrap_err());
    assert!(matches!(read, LedgerError::Damaged(_)) && matches!(write, WriteError::NotWritable(_)));
    let vault = [
        scene.store.get(&some).await.unwrap_err(),
        scene.store.list().await.unwrap_err(),
        scene.store.put(&credential(1)).await.unwrap_err(),
        scene.store.prove_writable(&some).await.unwrap_err(),
    ];
    assert!(vault.iter().all(|error| matches!(error, VaultError::Damaged(_))), "{vault:?}");
    for said in vault.iter().map(ToString::to_string).chain([read.to_string(), write.to_string()]) {
        assert!(said.contains(&format!("{}{expected}", scene.path.display())), "{said}");
        assert!(!said.contains("made-up"), "{said}");
    }
    assert!(!scene.beside(".new").exists());
}

#[tokio::test]
async fn a_ledger_alone_is_not_the_file() {
    let scene = Scene::at("token.json");
    fs::write(&scene.path, ledger_to_json(&empty())).unwrap();
    assert!(matches!(scene.store.read().await, Err(LedgerError::Damaged(_))));
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_replaced() {
    let scene = Scene::begun().await;
    fs::write(scene.beside(".new"), "{\"v\":1,\"led").unwrap();
    fs::set_permissions(scene.beside(".new"), fs::Permissions::from_mode(0o666)).unwrap();
    scene.store.put(&credential(2)).await.unwrap();
    assert!(!scene.beside(".new").exists());
    assert_eq!((mode(&scene.path), scene.other.list().await.unwrap().len()), (0o600, 2));
}

#[tokio::test]
async fn a_write_that_could_not_begin_changes_nothing_and_says_why() {
    let scene = Scene::begun().await;
    let before = fs::read(&scene.path).unwrap();
    fs::create_dir(scene.beside(".new")).unwrap();
    let said =
        format!("{}: is a directory (os error 21); a folder is in the way; move it away or correct TOKEN_FILE", scene.beside(".new").display());
    assert_eq!(scene.store.put(&credential(2)).await, Err(VaultError::NotWritable(said.clone())));
    assert_eq!(scene.store.prove_writable(&VersionId("1-attempt-1".into())).await, Err(VaultError::NotWritable(said.clone())));
    assert_eq!(scene.store.write(&me(), &empty(), Some(&etag("1"))).await, Err(WriteError::NotWritable(said)));
    assert_eq!(fs::read(&scene.path).unwrap(), before);
}

#[tokio::test]
async fn a_rename_that_failed_is_a_write_that_was_not_made() {
    let scene = Scene::begun().await;
    let place = Place::find(&scene.path).unwrap().unwrap();
    let content = file::read(&place).unwrap().unwrap();
    fs::remove_file(&scene.path).unwrap();
    fs::create_dir(&scene.path).unwrap();
    let failed = file::replace(&place, &content).unwrap_err();
    assert!(matches!(failed, file::ReplaceError::NotWritable(_)), "{failed:?}");
    assert!(!place.next.exists());
}

#[tokio::test]
async fn a_credential_that_could_not_be_read_again_is_not_written() {
    let scene = Scene::begun().await;
    let unusable = Credential { refresh_token: Secret::new(""), ..credential(2) };
    let said = scene.store.put(&unusable).await.unwrap_err().to_string();
    assert!(said.contains("could not be read again: versions[1].credential.refresh_token: it is empty"), "{said}");
    assert_eq!(scene.other.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_reported() {
    for path in ["file/token.json", "file/deeper/token.json"] {
        let scene = Scene::at(path);
        fs::write(scene.folder.path().join("file"), "").unwrap();
        let said = [scene.store.lock(&me()).await.unwrap_err().to_string(), scene.store.read().await.unwrap_err().to_string()];
        for said in said {
            assert!(said.contains("not a directory (os error 20); a part of this path is no folder"), "{said}");
        }
    }
    let scene = Scene::at("..");
    assert!(scene.store.read().await.unwrap_err().to_string().contains("this names no file; correct TOKEN_FILE"));
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_no_empty_store() {
    let scene = Scene::at("linked/token.json");
    std::os::unix::fs::symlink(scene.folder.path().join("not-mounted"), scene.folder.path().join("linked")).unwrap();
    let said = [scene.store.read().await.unwrap_err().to_string(), scene.store.lock(&me()).await.unwrap_err().to_string()];
    for said in said {
        assert!(said.contains("linked: this link leads nowhere"), "{said}");
    }
    assert!(!scene.folder.path().join("not-mounted").exists());
}

#[tokio::test]
async fn no_secret_in_any_text_about_the_store() {
    let scene = Scene::begun().await;
    let content = fs::read_to_string(&scene.path).unwrap();
    assert!(content.contains("made-up-access-token-1") && content.contains("made-up-refresh-token-1"), "the canaries are in the file");
    fs::write(&scene.path, content.replace("\"made-up-access-token-1\"", "[\"made-up-access-token-1\"]")).unwrap();
    let said = format!("{:?} {:?}", scene.store.list().await, scene.store.write(&me(), &empty(), Some(&etag("1"))).await);
    assert!(said.contains("versions[0].credential.access.value"), "{said}");
    assert!(!said.contains("made-up"), "{said}");
    assert!(!fs::read_to_string(scene.beside(".lock")).unwrap().contains("made-up"));
}
