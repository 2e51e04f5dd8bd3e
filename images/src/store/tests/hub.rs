//! A real registry (Debian's `docker-registry`) with TLS, an authority of its own and a password, filled by skopeo
//! and buildah.

use super::*;
use crate::{
    Trouble,
    registry::{Registries, RegistrySettings},
};
use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Seconds until it listens.
const PATIENCE_S: u64 = 30;

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a shell line in `dir`.
fn sh(dir: &Path, line: &str) {
    let output = Command::new("sh").args(["-ec", line]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn serve(dir: &Path, port: u16) -> Server {
    sh(
        dir,
        "key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'; \
         openssl req -x509 $key -subj /CN=own -keyout ca.key -out ca.pem; \
         openssl req -x509 $key -subj /CN=localhost -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem \
         -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost; \
         htpasswd -Bbn me secret >htpasswd; mkdir -p certs.d/localhost:PORT; cp ca.pem certs.d/localhost:PORT/own.crt"
            .replace("PORT", &port.to_string())
            .as_str(),
    );
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/data}}}}\n\
         http: {{addr: \"localhost:{port}\", tls: {{certificate: {0}/cert.pem, key: {0}/key.pem}}}}\n\
         auth: {{htpasswd: {{realm: r, path: {0}/htpasswd}}}}\n",
        dir.display()
    );
    fs::write(dir.join("hub.yml"), config).unwrap();
    let log = fs::File::create(dir.join("hub.log")).unwrap();
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(dir.join("hub.yml")).stdout(Stdio::null()).stderr(log);
    let server = Server(command.spawn().unwrap());
    let began = Instant::now();
    while TcpStream::connect(("localhost", port)).is_err() {
        let said = fs::read_to_string(dir.join("hub.log")).unwrap();
        assert!(began.elapsed() < Duration::from_secs(PATIENCE_S), "the registry does not listen: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

#[test]
fn what_skopeo_and_buildah_pushed_is_what_is_pulled() {
    let programs = ["docker-registry", "skopeo", "buildah", "htpasswd", "openssl"];
    if let Some(missing) = programs.iter().find(|p| !has(p)) {
        eprintln!("skipped: there is no {missing} here");
        return;
    }
    let place = Place::new();
    let dir = place.dir.path();
    let port = std::net::TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().port();
    let _server = serve(dir, port);
    sample("shop/web:1", "served").write_oci_archive(&dir.join("web.tar")).unwrap();
    sh(
        dir,
        &format!(
            "skopeo copy --insecure-policy --dest-creds me:secret --dest-cert-dir certs.d/localhost:{port} \
         oci-archive:web.tar docker://localhost:{port}/shop/web:1"
        ),
    );
    let settings = RegistrySettings {
        registries_conf: dir.join("none"),
        auth_file: dir.join("auth.json"),
        certs_dirs: vec![dir.join("certs.d")],
    };
    let name = format!("localhost:{port}/shop/web:1");
    let (store, _) = place.open();
    let pull = |settings: &RegistrySettings| store.pull(&name, &arm64(), &Registries::new(settings.clone()));
    let trouble = |settings: &RegistrySettings| match pull(settings).unwrap_err() {
        Error::Registry { trouble, .. } => trouble,
        other => panic!("{other}"),
    };
    assert_eq!(trouble(&settings), Trouble::Denied, "without a password");
    // me:secret
    let auth = format!("{{\"auths\": {{\"localhost:{port}\": {{\"auth\": \"bWU6c2VjcmV0\"}}}}}}");
    fs::write(dir.join("auth.json"), auth).unwrap();
    let stranger = RegistrySettings { certs_dirs: Vec::new(), ..settings.clone() };
    assert_eq!(trouble(&stranger), Trouble::Unreachable, "an authority that nobody trusts");
    let image = pull(&settings).unwrap();
    assert_eq!(fs::read_to_string(image.layers[0].join("app")).unwrap(), "served");
    assert_eq!(pull(&settings).unwrap().digest, image.digest);
    build(dir, &format!("localhost:{port}/shop/built:1"));
    let built = format!("localhost:{port}/shop/built:1");
    let built = store.pull(&built, &arm64(), &Registries::new(settings)).unwrap();
    assert_eq!(fs::read_to_string(built.layers[0].join("app")).unwrap(), "built");
    assert_eq!(built.config.cmd, ["/app"]);
}

/// Has buildah make an image and push it as `name`.
fn build(dir: &Path, name: &str) {
    fs::write(dir.join("all.json"), "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}").unwrap();
    let registry = name.split('/').next().unwrap();
    let own = format!("--storage-driver vfs --root {0}/built --runroot {0}/building", dir.display());
    sh(
        dir,
        &format!(
            "printf built >app && buildah {own} from --name box scratch && buildah {own} copy box app /app \
             && buildah {own} config --arch arm64 --cmd '[\"/app\"]' box \
             && buildah {own} commit --signature-policy all.json --creds me:secret \
                --cert-dir certs.d/{registry} box docker://{name}"
        ),
    );
}
