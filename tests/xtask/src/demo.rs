//! `cargo xtask demo`: a small application in an appliance, from dropped-in manifests to a clean end, told as
//! it happens.

use crate::{arch::Arch, guest::qemu, sh::Result, vm};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// The port that the web pod serves in the guest.
const GUEST_PORT: u16 = 8080;
/// How long the page may take to come through two emulated network cards.
const FETCH_MAX: Duration = Duration::from_secs(20);
/// Bytes of the page that are shown at most.
const PAGE_LEN_MAX_BYTES: u64 = 4096;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Architecture of the guest
    #[arg(long, default_value = "x86_64")]
    arch: Arch,
    /// Leave the appliance running at the end (Ctrl-C ends it)
    #[arg(long)]
    stay: bool,
    /// Port of the host's loopback for the web page; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(crate) fn run(args: &Args) -> Result {
    let port = if args.port == 0 { free_port()? } else { args.port };
    let scripts = crate::sh::root().join("tests/xtask/src/demo");
    let script = qemu::scratch(args.arch, "demo.sh")?;
    let text = fs::read_to_string(scripts.join("script.sh"))?;
    fs::write(&script, text.replace("@STAY@", if args.stay { "yes" } else { "" }))?;
    let vm = vm::Args {
        put: vec![format!("{}:/put/demo", scripts.join("manifests").display())],
        forward: vec![format!("{port}:{GUEST_PORT}")],
        ..vm::Args::script(args.arch, script)
    };
    println!("Booting a {} appliance under QEMU's emulation (a real box is many times faster).", args.arch);
    println!("Its web page will be at http://127.0.0.1:{port}/");
    // From the first line of the guest's console on: before it there is building and fetching.
    let begun = std::cell::OnceCell::new();
    let tell = |line: &str| {
        let begun: &Instant = begun.get_or_init(Instant::now);
        qemu::stream(&format!("{:>8} ms  {line}", begun.elapsed().as_millis()));
    };
    let mut page = Ok(());
    let status = vm::run(&vm, |line| {
        tell(line);
        if line.contains("the web page is up") {
            page = fetch(port).map(|body| tell(&format!("the host reads: {}", body.trim())));
        }
    })?;
    page.map_err(|e| format!("the page did not come through port {port}: {e}"))?;
    if status == 0 { Ok(()) } else { Err(format!("the demo ended with status {status}").into()) }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Gets `/` from `port`, trying again until it is there.
fn fetch(port: u16) -> Result<String> {
    let until = Instant::now() + FETCH_MAX;
    loop {
        match get(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(body) if !body.is_empty() => return Ok(body),
            Ok(_) if Instant::now() > until => return Err("the page is empty".into()),
            Err(error) if Instant::now() > until => return Err(error),
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn get(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, FETCH_MAX)?;
    stream.set_read_timeout(Some(FETCH_MAX))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: demo\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(PAGE_LEN_MAX_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("not an HTTP answer")?;
    if head.contains(" 200 ") {
        Ok(body.to_owned())
    } else {
        Err(head.lines().next().unwrap_or("?").to_owned().into())
    }
}
