use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;

#[tokio::test]
async fn the_lock_has_one_owner() {
    let scene = Scene::new();
    scene.store.lock(&me()).await.unwrap();
    scene.store.lock(&me()).await.expect("a repeated call succeeds");
    assert_eq!(scene.store.lock(&somebody_else()).await, Err(LockError::Held));
    assert_eq!(scene.other.lock(&me()).await, Err(LockError::Held), "an owner's name is not enough in another process");
    scene.store.clone().renew(&me()).await.expect("a clone is the same store");
    assert_eq!(scene.store.renew(&somebody_else()).await, Err(LockError::Held));
    assert_eq!(scene.other.renew(&me()).await, Err(LockError::Held));

    scene.store.unlock(&somebody_else()).await;
    assert_eq!(scene.other.lock(&somebody_else()).await, Err(LockError::Held), "only its owner gives it back");
    scene.store.unlock(&me()).await;
    assert_eq!(scene.store.renew(&me()).await, Err(LockError::Held));
    scene.other.lock(&somebody_else()).await.unwrap();
}

#[tokio::test]
async fn an_owner_that_went_away_without_unlocking_loses_it_to_another_of_its_process_after_60_s() {
    let scene = Scene::new();
    scene.store.lock(&me()).await.unwrap();
    scene.clock.0.store(59, Ordering::SeqCst);
    assert_eq!(scene.store.lock(&somebody_else()).await, Err(LockError::Held));
    scene.store.renew(&me()).await.unwrap();
    scene.clock.0.store(118, Ordering::SeqCst);
    assert_eq!(scene.store.lock(&somebody_else()).await, Err(LockError::Held));
    scene.clock.0.store(119, Ordering::SeqCst);
    assert_eq!(scene.other.lock(&somebody_else()).await, Err(LockError::Held), "a living process is not taken over");
    scene.store.lock(&somebody_else()).await.unwrap();
    assert_eq!(scene.store.renew(&me()).await, Err(LockError::Held));
    assert_eq!(scene.store.write(&me(), &empty(), None).await, Err(WriteError::Conflict));
}

#[tokio::test]
async fn the_holder_is_named() {
    let scene = Scene::new();
    scene.clock.0.store(7, Ordering::SeqCst);
    scene.store.lock(&me()).await.unwrap();
    for store in [&scene.store, &scene.other] {
        let holder = store.holder().await.unwrap().unwrap();
        assert_eq!((holder.pid, holder.since), (Some(std::process::id()), Some(scene.clock.now())));
    }
    scene.store.unlock(&me()).await;
    assert_eq!(scene.other.holder().await, Ok(None));
    assert!(scene.beside(".lock").exists());
}

#[tokio::test]
async fn a_deleted_lock_file_is_a_lost_lock() {
    let scene = Scene::begun().await;
    fs::remove_file(scene.beside(".lock")).unwrap();
    scene.other.lock(&somebody_else()).await.unwrap();
    assert_eq!(scene.store.renew(&me()).await, Err(LockError::Held));
    assert_eq!(scene.store.write(&me(), &empty(), Some(&etag("1"))).await, Err(WriteError::Conflict));
    assert!(matches!(scene.store.put(&credential(2)).await, Err(VaultError::NotWritable(_))));
    assert_eq!(scene.store.lock(&me()).await, Err(LockError::Held));
}

#[tokio::test]
async fn a_lock_file_of_something_else_is_not_written_over() {
    let scene = Scene::at("Cargo");
    fs::write(scene.beside(".lock"), "version = 4\n").unwrap();
    let said = scene.store.lock(&me()).await.unwrap_err().to_string();
    assert!(said.contains("Cargo.lock: this is no lock file of this program"), "{said}");
    assert_eq!(fs::read_to_string(scene.beside(".lock")).unwrap(), "version = 4\n");
}

#[tokio::test]
async fn two_names_of_one_store_share_its_lock() {
    let scene = Scene::begun().await;
    let link = scene.folder.path().join("link.json");
    std::os::unix::fs::symlink(&scene.path, &link).unwrap();
    let linked = EmbeddedStore::new(&link, Arc::clone(&scene.clock) as Arc<dyn Clock>);
    assert_eq!(linked.lock(&somebody_else()).await, Err(LockError::Held));
    scene.store.unlock(&me()).await;
    linked.lock(&somebody_else()).await.unwrap();
    linked.put(&credential(2)).await.unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the write goes where the link leads");
    assert_eq!(scene.store.list().await.unwrap().len(), 2);
}
