//! Redis behind TLS with an authority of its own, client certificates and ACL users.

use std::path::PathBuf;

use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use fleet_worker_sdk::{Error, OpenSession};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

use crate::support::{Node, within};

/// Certificates of one authority in a folder: `ca.pem`, and two `NAME.pem` with `NAME.key`.
struct Certificates(TempDir);

impl Certificates {
    fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        let uses = [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ];
        for (name, usage) in uses {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(
                folder.path().join(format!("{name}.key")),
                key.serialize_pem(),
            )
            .unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.to_str().unwrap().to_owned()
    }
}

/// A server that speaks TLS on the second port, to those with a certificate only.
async fn server(certificates: &Certificates) -> (Node, u16) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (key, own, ca) = (
        certificates.path("server.key"),
        certificates.path("server.pem"),
        certificates.path("ca.pem"),
    );
    let node = Node::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &own,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ])
    .await;
    (node, port)
}

fn opened(address: &str) -> SharedStore {
    open(address, &OpenOptions::default()).unwrap()
}

#[tokio::test]
async fn a_fleet_behind_tls_wants_the_right_authority_and_a_certificate() {
    let certificates = Certificates::made();
    let (_node, port) = server(&certificates).await;
    let (ca, cert, key) = (
        certificates.path("ca.pem"),
        certificates.path("client.pem"),
        certificates.path("client.key"),
    );
    let place = format!("rediss://localhost:{port}");
    let store = opened(&format!("{place}?ca={ca}&cert={cert}&key={key}"));
    within(store.check()).await.unwrap();
    assert_eq!(store.address(), place, "no file names");
    let session = store
        .open(&OpenSession::new("acme/shop").unwrap())
        .await
        .unwrap();
    assert!(session.created);

    let nobody = within(opened(&format!("{place}?ca={ca}")).check()).await;
    assert!(nobody.is_err(), "without a certificate");
    let stranger = Certificates::made();
    let strange = format!(
        "{place}?ca={}&cert={cert}&key={key}",
        stranger.path("ca.pem")
    );
    let error = within(opened(&strange).check()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    let plain = within(opened(&format!("redis://localhost:{port}")).check()).await;
    assert!(plain.is_err(), "without TLS");
}

#[tokio::test]
async fn a_user_gets_in_with_the_password_of_its_file_and_no_other() {
    let node = Node::start(&[]).await;
    let make = [
        "ACL",
        "SETUSER",
        "keeper",
        "on",
        ">hunter2 @/:?",
        "~*",
        "&*",
        "+@all",
    ];
    node.ask::<()>(&make).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let address = format!(
        "redis://keeper@127.0.0.1:{}?password_file={}",
        node.port,
        file.display()
    );
    std::fs::write(&file, "hunter2 @/:?\n").unwrap();
    let store = opened(&address);
    within(store.check()).await.unwrap();

    std::fs::write(&file, "wrong").unwrap();
    let error = within(opened(&address).check()).await.unwrap_err();
    assert!(
        error.to_string().contains("refused user or password"),
        "{error}"
    );
    assert!(!error.to_string().contains("wrong"), "{error}");
}
