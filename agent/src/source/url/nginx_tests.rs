//! Sources by address against Debian's nginx over TLS, behind a proxy that does what networks do. Whatever goes wrong is
//! told, and leaves the pods as they are; what is well again is told too. Skipped where there is no nginx.

use super::tests::{Bench, NOTHING, pod};
use berth_tests::faults::{Fault, Proxy};
use serde_json::{Value, json};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a request. Longer than one takes on a loaded machine, for most; what is to run into it waits for it.
const TIMEOUT: &str = "1s";

/// A byte well behind the handshake, and well before the end of the text that is sent then.
const IN_THE_BODY_BYTES: usize = 20_000;

const CERTIFICATES: &str = r"
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -days 30 -subj /CN=authority -keyout ca.key -out ca.pem
openssl req -x509 $key -days 30 -subj /CN=stranger -keyout other.key -out other.pem
openssl req -new $key -subj /CN=server -keyout key.pem -out server.csr
openssl req -new $key -subj /CN=box -keyout box.key -out box.csr
cat >ca.cnf <<C
[ca]
default_ca = it
[it]
database = db
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = leaf
unique_subject = no
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
subjectAltName = IP:127.0.0.1
C
touch db
echo 01 >serial
make() { openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in $1.csr -startdate $3 -enddate $4 -out $2.pem; }
make server good $(date -u -d yesterday +%Y%m%d%H%M%SZ) $(date -u -d '2 days' +%Y%m%d%H%M%SZ)
make server expired 20200101000000Z 20200102000000Z
make server future $(date -u -d '30 days' +%Y%m%d%H%M%SZ) $(date -u -d '60 days' +%Y%m%d%H%M%SZ)
make box box $(date -u -d yesterday +%Y%m%d%H%M%SZ) $(date -u -d '2 days' +%Y%m%d%H%M%SZ)
openssl x509 -in good.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64 >pin
";

/// Files in `faults` switch on what their names say.
const CONFIG: &str = r#"
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/error.log;
events {}
http {
    log_format short '$status $request_uri [$sent_http_content_encoding] [$http_cache_control]';
    access_log DIR/access.log short;
    client_body_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp; proxy_temp_path DIR/tmp;
    scgi_temp_path DIR/tmp; uwsgi_temp_path DIR/tmp;
    types { application/yaml yaml; text/html html; }
    gzip on;
    gzip_types application/yaml;
    gzip_min_length 200;
    root DIR/www;
    ssl_certificate_key DIR/key.pem;
    server {
        listen 127.0.0.1:PORT0 ssl;
        ssl_certificate DIR/good.pem;
        location = /pods.yaml {
            if (-f DIR/faults/401) { return 401; }
            if (-f DIR/faults/403) { return 403; }
            if (-f DIR/faults/404) { return 404; }
            if (-f DIR/faults/429) { return 429; }
            if (-f DIR/faults/500) { return 500; }
            if (-f DIR/faults/503) { return 503; }
            if (-f DIR/faults/204) { return 204; }
            if (-f DIR/faults/redirect) { return 302 /moved.yaml; }
            if (-f DIR/faults/loop) { return 302 /pods.yaml; }
            if (-f DIR/faults/plain) { return 302 http://127.0.0.1:PORT0/moved.yaml; }
            if (-f DIR/faults/away) { return 302 ftp://127.0.0.1/moved.yaml; }
            if (-f DIR/faults/html) { rewrite ^ /sign-in.html last; }
            if (-f DIR/faults/empty) { rewrite ^ /empty.yaml last; }
            if (-f DIR/faults/large) { rewrite ^ /large.yaml last; }
            if (-f DIR/faults/bomb) { rewrite ^ /bomb.yaml last; }
            if (-f DIR/faults/half) { rewrite ^ /half.yaml last; }
        }
        location = /bomb.yaml { gzip off; add_header Content-Encoding gzip; }
        location = /box.yaml { if ($http_x_box != "seven") { return 403; } }
    }
    server { listen 127.0.0.1:PORT1 ssl; ssl_certificate DIR/expired.pem; }
    server { listen 127.0.0.1:PORT2 ssl; ssl_certificate DIR/future.pem; }
    server {
        listen 127.0.0.1:PORT3 ssl;
        ssl_certificate DIR/good.pem;
        ssl_client_certificate DIR/ca.pem;
        ssl_verify_client on;
    }
}
"#;

/// Ends with the test.
struct Nginx {
    dir: tempfile::TempDir,
    ports: [u16; 4],
    process: Child,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<PathBuf> {
    ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().map(PathBuf::from).find(|path| path.exists())
}

impl Nginx {
    /// Serves the text at `/pods.yaml`.
    fn start(text: &str) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: there is no nginx here");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("sh").args(["-ec", CERTIFICATES]).current_dir(dir.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for name in ["www", "faults", "tmp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let free: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = [0, 1, 2, 3].map(|i| free[i].local_addr().unwrap().port());
        drop(free);
        let mut config = CONFIG.replace("DIR", &dir.path().to_string_lossy());
        for (i, port) in ports.iter().enumerate() {
            config = config.replace(&format!("PORT{i}"), &port.to_string());
        }
        fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new(program);
        command.arg("-c").arg(dir.path().join("nginx.conf")).arg("-p").arg(dir.path());
        let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let nginx = Self { dir, ports, process };
        nginx.say("pods.yaml", text);
        let begun = Instant::now();
        while TcpStream::connect(nginx.address(3)).is_err() {
            let said = fs::read_to_string(nginx.dir.path().join("error.log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "nginx does not listen: {said}");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(nginx)
    }

    fn address(&self, server: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[server]))
    }

    /// Renamed into its place, as a careful person would.
    fn say(&self, name: &str, content: impl AsRef<[u8]>) {
        let (new, place) = (self.dir.path().join("new"), self.dir.path().join("www").join(name));
        fs::write(&new, content).unwrap();
        fs::rename(new, place).unwrap();
    }

    fn fault(&self, name: &str) -> PathBuf {
        self.dir.path().join("faults").join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("access.log")).unwrap_or_default()
    }

    fn source(&self, port: u16, path: &str, more: Value) -> Value {
        let mut source = json!({
            "url": format!("https://127.0.0.1:{port}/{path}"), "caFile": self.file("ca.pem"), "timeout": TIMEOUT,
        });
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    }
}

fn is_wrong(bench: &Bench) -> bool {
    bench.events.iter().any(|event| event.starts_with("SourceFailed")) || !bench.desired.problems.is_empty()
}

fn is_well(bench: &Bench) -> bool {
    bench.events.iter().any(|event| event.starts_with("SourceRecovered")) && bench.desired.problems.is_empty()
}

/// What is said of what is wrong.
fn said(bench: &Bench) -> String {
    let problems = bench.desired.problems.iter().map(ToString::to_string);
    problems.chain(bench.events.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn touch(path: &Path) {
    fs::write(path, "").unwrap();
}

#[tokio::test]
async fn no_fault_of_server_or_network_harms_a_pod_and_each_is_told() {
    let Some(nginx) = Nginx::start(&pod("a", "i:1")) else { return };
    nginx.say("moved.yaml", pod("moved", "i:1"));
    nginx.say("sign-in.html", "<p>Sign in");
    nginx.say("empty.yaml", "");
    nginx.say("half.yaml", &pod("b", "i:1")[..60]);
    nginx.say("large.yaml", vec![b' '; berth_images::http::BODY_MAX_BYTES + 1]);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), 64 << 20), &mut bomb).unwrap();
    nginx.say("bomb.yaml", bomb.finish().unwrap());
    // Digests, so that it does not get shorter by compression.
    let filling: String = (0..1000_u32).map(|i| berth_images::Digest::of(&i.to_be_bytes()).hex()).collect();
    let other = format!("# {filling}\n{}", pod("a", "i:9"));
    let proxy = Proxy::new(nginx.address(0)).unwrap();
    let mut bench = Bench::new(&[nginx.source(proxy.port(), "pods.yaml", json!({}))]);
    bench.until_pods(&["a-box=i:1"]).await;
    let server = [
        ("401", "status 401"),
        ("403", "status 403"),
        ("404", "status 404"),
        ("429", "status 429"),
        ("500", "status 500"),
        ("503", "status 503"),
        ("204", "status 204"),
        ("loop", "redirects in a row"),
        ("plain", "not followed"),
        ("away", "must begin with"),
        ("html", "neither YAML nor JSON"),
        ("empty", "is empty"),
        ("half", ""),
        ("large", "the limit"),
        ("bomb", "the limit"),
    ];
    let network = [
        (Fault::Closed, ""),
        (Fault::Reset, ""),
        (Fault::Silent, "timeout"),
        (Fault::Slow(1, Duration::from_millis(20)), "timeout"),
        // In the handshake, and in the answer: of what TLS carries nothing is believed that is not whole.
        (Fault::CutAfter(40), ""),
        (Fault::Garbled(400), ""),
        (Fault::CutAfter(IN_THE_BODY_BYTES), ""),
        (Fault::Garbled(IN_THE_BODY_BYTES), ""),
    ];
    let wrong = server.map(|(name, why)| (Some(name), Fault::None, why)).into_iter();
    for (name, fault, why) in wrong.chain(network.map(|(fault, why)| (None, fault, why))) {
        let file = name.map(|name| nginx.fault(name));
        file.iter().for_each(|file| touch(file));
        if file.is_none() {
            // What is new to the client is sent whole; what it knows already would be a few bytes.
            nginx.say("pods.yaml", &other);
        }
        proxy.set(fault);
        bench.until(&format!("{name:?} {fault:?} is told"), is_wrong).await;
        assert!(said(&bench).contains(why), "{name:?} {fault:?}: {}", said(&bench));
        assert_eq!(bench.pods(), ["a-box=i:1"], "{name:?} {fault:?}");
        file.iter().for_each(|file| fs::remove_file(file).unwrap());
        nginx.say("pods.yaml", pod("a", "i:1"));
        proxy.set(Fault::None);
        bench.until(&format!("it is well after {name:?} {fault:?}"), is_well).await;
        bench.events.clear();
    }
    // Slow, and in time.
    nginx.say("pods.yaml", pod("a", "i:2"));
    proxy.set(Fault::Slow(512, Duration::from_millis(1)));
    bench.until_pods(&["a-box=i:2"]).await;
    proxy.set(Fault::None);
    touch(&nginx.fault("redirect"));
    bench.until_pods(&["moved-box=i:1"]).await;
    fs::remove_file(nginx.fault("redirect")).unwrap();
    nginx.say("pods.yaml", NOTHING);
    bench.until_pods(&[]).await;
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_and_what_is_old_counts() {
    // Long enough to be worth compressing.
    let long = |image: &str| format!("# {}\n{}", "long ".repeat(200), pod("a", image));
    let Some(nginx) = Nginx::start(&long("i:1")) else { return };
    let aged = |seconds| {
        let file = fs::File::options().write(true).open(nginx.file("www/pods.yaml")).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    aged(60);
    let proxy = Proxy::new(nginx.address(0)).unwrap();
    let mut bench = Bench::new(&[nginx.source(proxy.port(), "pods.yaml", json!({}))]);
    bench.until_pods(&["a-box=i:1"]).await;
    // The second of them begins when the first is over.
    let heard = tokio::task::spawn_blocking(move || (proxy.await_connections(2, PATIENCE), proxy));
    let (came, proxy) = heard.await.unwrap();
    assert!(came);
    let log = nginx.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "200 /pods.yaml [gzip] [no-cache]", "{log}");
    assert_eq!(lines[1], "304 /pods.yaml [-] [no-cache]", "{log}");
    // A cache that ignores that may tell the same for long: nothing changes then. A text that is older than the one before
    // is somebody's will: to go back must be possible.
    nginx.say("pods.yaml", long("i:0"));
    aged(3600);
    bench.until_pods(&["a-box=i:0"]).await;
    // Within one second, and of one length: nginx has one ETag for all of them.
    for image in ["i:3", "i:4", "i:5"] {
        nginx.say("pods.yaml", long(image));
        bench.until_pods(&[&format!("a-box={image}")]).await;
    }
    assert!(bench.events.is_empty(), "{:?}", bench.events);
    drop(proxy);
}

#[tokio::test]
async fn whose_certificate_is_not_right_is_not_believed_and_holds_up_nobody() {
    let Some(nginx) = Nginx::start(&pod("a", "i:1")) else { return };
    nginx.say("box.yaml", pod("box", "i:1"));
    let [good, expired, future, clients] = nginx.ports;
    let pin = format!("sha256//{}", fs::read_to_string(nginx.file("pin")).unwrap().trim());
    let wrong_pin = format!("sha256//{}=", "A".repeat(43));
    let cases = [
        (nginx.source(expired, "pods.yaml", json!({})), "Failing", "expired"),
        (nginx.source(future, "pods.yaml", json!({})), "Failing", "not valid yet"),
        (
            nginx.source(good, "pods.yaml?1", json!({"caFile": nginx.file("other.pem")})),
            "Failing",
            "UnknownIssuer",
        ),
        (nginx.source(good, "pods.yaml?2", json!({"pins": [wrong_pin]})), "Failing", "pinned"),
        (nginx.source(good, "box.yaml?1", json!({})), "Failing", "status 403"),
        (
            nginx.source(
                clients,
                "pods.yaml?3",
                json!({"certFile": nginx.file("box.pem"), "keyFile": nginx.file("key.pem")}),
            ),
            "Misconfigured",
            "does not belong",
        ),
        (nginx.source(clients, "pods.yaml?1", json!({})), "Failing", ""),
        (
            nginx.source(good, "pods.yaml?3", json!({"caFile": nginx.file("none.pem")})),
            "Misconfigured",
            "none.pem",
        ),
        (nginx.source(good, "box.yaml?2", json!({"headers": {"X-Box": ["seven"]}})), "Current", ""),
        (nginx.source(good, "pods.yaml?4", json!({"pins": [wrong_pin, pin]})), "Current", ""),
        (
            nginx.source(
                clients,
                "pods.yaml?2",
                json!({"certFile": nginx.file("box.pem"), "keyFile": nginx.file("box.key")}),
            ),
            "Current",
            "",
        ),
    ];
    let sources: Vec<Value> = cases.iter().map(|(source, ..)| source.clone()).collect();
    let mut bench = Bench::new(&sources);
    let states = |bench: &Bench| -> Vec<String> {
        let shown = bench.reports.show();
        shown.iter().map(|report| report["state"].as_str().unwrap().to_owned()).collect()
    };
    let expected: Vec<&str> = cases.iter().map(|(_, state, _)| *state).collect();
    bench.until("each has had its say", |bench| states(bench) == expected).await;
    for ((source, _, why), report) in cases.iter().zip(bench.reports.show()) {
        let message = report["message"].as_str().unwrap();
        assert!(message.contains(why), "{source}: {message}");
    }
    bench.until_pods(&["box-box=i:1", "a-box=i:1"]).await;
}
