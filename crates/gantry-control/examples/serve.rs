//! Serves the control plane's REST API alone, to try clients against it: `serve DIR [ADDRESS]`.
//!
//! Prints the address, and the administrator's token on the first start. Not for production.

use gantry_control::{Control, ControlConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: serve DIR [ADDRESS]")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let (control, first_start) = Control::open(ControlConfig::new(directory)).await?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    if let Some(first_start) = first_start {
        println!("{}", first_start.token.expose());
    }
    axum::serve(listener, control.router()).await?;
    Ok(())
}
